// What the reader makes of the safetensors files on standard input, each behind its size (8 bytes,
// little-endian): a line of JSON a file with `error`, or `metadata` and `tensors` of [name, dtype,
// shape, begin, end], and `peak_bytes`, the most memory that reading held at one time.
// The side of safetensors_parity.py that is ours; built with sanitizers.
#include <malloc.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <iostream>
#include <new>
#include <nlohmann/json.hpp>
#include <string>

#include "trainer/checkpoint/safetensors.h"

namespace {

int64_t live_bytes = 0;
int64_t peak_bytes = 0;

}  // namespace

void* operator new(size_t bytes) {
  void* memory = std::malloc(bytes);
  if (memory == nullptr) throw std::bad_alloc();
  live_bytes += static_cast<int64_t>(malloc_usable_size(memory));
  peak_bytes = std::max(peak_bytes, live_bytes);
  return memory;
}

void operator delete(void* memory) noexcept {
  live_bytes -= static_cast<int64_t>(malloc_usable_size(memory));
  std::free(memory);
}

void operator delete(void* memory, size_t) noexcept { operator delete(memory); }

namespace phalanx {
namespace {

nlohmann::json read(const std::string& name, const std::string& file) {
  const int64_t before = live_bytes;
  peak_bytes = live_bytes;
  nlohmann::json result;
  try {
    const SafetensorsHeader header = read_safetensors_header(
        name, static_cast<int64_t>(file.size()), [&](int64_t offset, std::span<std::byte> bytes) {
          const auto begin = static_cast<size_t>(offset);
          if (offset < 0 || begin > file.size() || bytes.size() > file.size() - begin) std::abort();
          std::memcpy(bytes.data(), file.data() + begin, bytes.size());
        });
    result["peak_bytes"] = peak_bytes - before;
    result["metadata"] = header.metadata;
    result["tensors"] = nlohmann::json::array();
    for (const StoredTensor& t : header.tensors) {
      result["tensors"].push_back({t.name, dtype_name(t.dtype), t.shape, t.begin, t.end});
    }
  } catch (const std::invalid_argument& error) {
    result["peak_bytes"] = peak_bytes - before;
    result["error"] = error.what();
  }
  return result;
}

}  // namespace
}  // namespace phalanx

int main() {
  uint64_t size = 0;
  for (int i = 0; std::cin.read(reinterpret_cast<char*>(&size), sizeof size); ++i) {
    std::string file(size, '\0');
    if (!std::cin.read(file.data(), static_cast<std::streamsize>(size))) return 2;
    std::puts(phalanx::read("file " + std::to_string(i), file).dump().c_str());
  }
}
