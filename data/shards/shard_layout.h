#pragma once
// Byte positions inside a Megatron .idx file (FORMAT.md beside this file shows the table). Shared
// by the readers, the writer and nobody else. Pure, but for the reads, whose errors are File's.
#include <array>
#include <bit>
#include <cstdint>
#include <span>

#include "data/file.h"

namespace phalanx {

static_assert(std::endian::native == std::endian::little,
              "shards are little endian and read in place");

inline constexpr std::array<char, 9> kIndexMagic = {'M', 'M', 'I', 'D', 'I', 'D', 'X', 0, 0};
inline constexpr uint64_t kIndexVersion = 1;
inline constexpr int64_t kIndexHeaderBytes = 34;

/// The counts of an .idx file, with the offsets of its arrays.
struct IndexLayout {
  int64_t num_sequences = 0;
  int64_t num_boundaries = 0;  // documents + 1

  int64_t length_at(int64_t sequence) const { return kIndexHeaderBytes + 4 * sequence; }
  int64_t pointer_at(int64_t sequence) const { return length_at(num_sequences) + 8 * sequence; }
  int64_t boundary_at(int64_t document) const { return pointer_at(num_sequences) + 8 * document; }
  int64_t total_bytes() const { return boundary_at(num_boundaries); }
};

template <typename T>
void read_values(const File& file, int64_t offset, std::span<T> values) {
  file.read_exact(offset, std::as_writable_bytes(values));
}

template <typename T>
T read_value(const File& file, int64_t offset) {
  T value;
  read_values(file, offset, std::span(&value, 1));
  return value;
}

}  // namespace phalanx
