#pragma once
// Sorted runs, the middle of packing's external sort: documents with their tokens in the order in
// which they will be written, as much as fits memory at once.
//
// A run file is temporary and belongs to one machine type (little endian): "phxrun01", u64 number
// of entries E, u64 number of ids, u64 bytes an id; E entries; the ids, in the order of the
// entries. Local. RunBuffer has one owner; RunFile's const methods may run in several threads at
// once. Errors: std::system_error; std::invalid_argument for a file that is not as it was written.
#include <compare>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "data/file.h"
#include "data/shards/token_type.h"

namespace phalanx {

/// The place of a document in the shuffled order. The key is a hash of the rest, under the seed of
/// packing, so a document's place does not depend on who reads it or when.
struct OrderKey {
  uint64_t key = 0;
  uint64_t file = 0;  // number of the input file
  int64_t line = 0;

  auto operator<=>(const OrderKey&) const = default;
};

/// XXH3-64 of the number of the file and the line (8 bytes each) with `seed` as the hash's seed.
[[nodiscard]] OrderKey order_key(uint64_t file, int64_t line, uint64_t seed);

/// XXH3-64 of the text under a seed of its own. Equal texts have equal hashes and so share a part.
[[nodiscard]] uint64_t document_content_hash(std::string_view text);

/// True when validation gets the document whatever the other documents are.
[[nodiscard]] bool falls_to_validation(uint64_t content_hash, int64_t per_mille);

struct RunEntry {
  OrderKey order;
  uint64_t content_hash = 0;
  int64_t text_bytes = 0;
  int64_t first_id = 0;  // where its ids begin, among those of the run
  int64_t num_ids = 0;   // the end-of-document token included
};
static_assert(sizeof(RunEntry) == 56, "entries are written as they are");

/// Documents in memory, in the order they came until sort().
class RunBuffer {
 public:
  RunBuffer(TokenType type, int64_t capacity_bytes);

  /// True when `num_ids` more would not fit. A document that never fits is taken when empty.
  [[nodiscard]] bool is_full_for(size_t num_ids) const;
  void add(RunEntry entry, std::span<const int32_t> ids);
  void sort();
  void clear();

  std::span<const RunEntry> entries() const { return entries_; }
  std::span<const std::byte> ids_of(const RunEntry& entry) const;
  TokenType token_type() const { return type_; }

 private:
  TokenType type_;
  int64_t capacity_bytes_;
  std::vector<RunEntry> entries_;
  std::vector<std::byte> ids_;
};

/// Writes what the sorted buffers hold as one run; durable but for its name.
WrittenFile write_run(const std::filesystem::path& path, std::span<const RunBuffer* const> buffers);

class RunFile {
 public:
  /// `keep_open` false: opened again for each read, which costs time instead of a descriptor.
  RunFile(const std::filesystem::path& path, int64_t expected_bytes, bool keep_open);

  int64_t num_entries() const { return num_entries_; }
  TokenType token_type() const { return type_; }
  int64_t entry_at(int64_t entry) const;  // byte position
  int64_t id_at(int64_t id) const;        // byte position
  int64_t num_ids() const { return num_ids_; }
  void read(int64_t offset, std::span<std::byte> bytes) const;

  /// The number of entries before `order`.
  [[nodiscard]] int64_t lower_bound(const OrderKey& order) const;

 private:
  std::filesystem::path path_;
  std::optional<File> file_;
  int64_t num_entries_ = 0, num_ids_ = 0;
  TokenType type_ = TokenType::kUint16;
};

}  // namespace phalanx
