// The header of a safetensors file: the tensors of what is accepted cover its data, one after
// another. That the reference accepts the same is for safetensors_parity.py.
#include <algorithm>
#include <cstring>
#include <set>

#include "tests/fuzz/fuzz.h"
#include "trainer/checkpoint/safetensors.h"

namespace phalanx::fuzz {
namespace {

void check(std::string_view input) {
  const auto read = [&](int64_t offset, std::span<std::byte> bytes) {
    require(offset >= 0 && static_cast<size_t>(offset) <= input.size() &&
                bytes.size() <= input.size() - static_cast<size_t>(offset),
            "the reader stays in the file");
    std::memcpy(bytes.data(), input.data() + offset, bytes.size());
  };
  const auto size = static_cast<int64_t>(input.size());
  const auto header = accepted("f", [&] { return read_safetensors_header("f", size, read); });
  if (!header) return;
  uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, input.data(), sizeof header_bytes);
  int64_t end = 8 + static_cast<int64_t>(header_bytes);
  std::set<std::string> names;
  for (const StoredTensor& tensor : header->tensors) {
    require(tensor.begin == end, "a tensor begins where the one before ended");
    end += stored_bytes(tensor.dtype, tensor.shape, "f");
    require(tensor.end == end, "a tensor is as long as its shape says");
    require(names.insert(tensor.name).second, "a name occurs once");
    require(header->find(tensor.name) == &tensor, "a tensor is found by its name");
  }
  require(end == size, "the last tensor ends the file");
}

}  // namespace
}  // namespace phalanx::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  phalanx::fuzz::check(phalanx::fuzz::text_of(data, size));
  return 0;
}
