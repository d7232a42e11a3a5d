#pragma once
// Random bits that are a function of a key and a place alone: a part of a tensor gets the bits that
// the whole would give it, whatever the mesh, after a resume, on CPU and CUDA.
// Local, pure arithmetic on integers.
// Source: the SplitMix64 finaliser (Steele, Lea, Flood 2014).
#include <cstdint>
#include <string_view>

#include "parallel/kernels/host_device.h"

namespace phalanx {
namespace kernels {

PHALANX_HOST_DEVICE inline uint64_t mix64(uint64_t x) {
  x += 0x9e3779b97f4a7c15ull;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

/// The bits of `place` under `key`; also a key for what is finer than the place.
PHALANX_HOST_DEVICE inline uint64_t keyed_bits(uint64_t key, uint64_t place) {
  return mix64(key ^ mix64(place));
}

}  // namespace kernels

/// FNV-1a over the name, then mixed with the seed.
inline uint64_t named_key(std::string_view name, uint64_t seed) {
  uint64_t hash = 0xcbf29ce484222325ull;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
  return kernels::mix64(hash ^ kernels::mix64(seed));
}

/// What a key is for: each use of a tensor's name draws bits of its own.
enum class KeyUse : uint64_t { kOptimizerRounding = 1, kGradientRounding = 2 };
inline uint64_t key_for(uint64_t tensor_key, KeyUse use, int64_t step) {
  return kernels::keyed_bits(kernels::keyed_bits(tensor_key, static_cast<uint64_t>(use)),
                             static_cast<uint64_t>(step));
}

}  // namespace phalanx
