#pragma once
// Strict reader of the safetensors format (github.com/huggingface/safetensors): a header of names,
// types and shapes, then the tensors one after another.
//
// Local; values only, no file stays open. Units are bytes.
// Beyond the reference reader, which accepts both, a header must begin with `{` and name no tensor
// twice. All counts are checked against the size of the file before anything is allocated by them.
// Errors: std::invalid_argument "PATH: safetensors header: ..." for a file that breaks a rule.
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace phalanx {

/// Order of the values: that of the reference, by which its writer sorts tensors.
enum class Dtype {
  kBool,
  kU8,
  kI8,
  kF8E5M2,
  kF8E4M3,
  kI16,
  kU16,
  kF16,
  kBF16,
  kI32,
  kU32,
  kF32,
  kF64,
  kI64,
  kU64
};

[[nodiscard]] int64_t dtype_bytes(Dtype dtype);
[[nodiscard]] std::string_view dtype_name(Dtype dtype);  // as in the header: "F32"
[[nodiscard]] std::optional<Dtype> find_dtype(std::string_view name);

struct StoredTensor {
  std::string name;
  Dtype dtype = Dtype::kF32;
  std::vector<int64_t> shape;
  int64_t begin = 0;  // of its bytes, from the start of the file
  int64_t end = 0;
};

struct SafetensorsHeader {
  std::vector<StoredTensor> tensors;  // in the order of their bytes
  std::map<std::string, std::string> metadata;

  /// Null when there is no such tensor.
  const StoredTensor* find(std::string_view name) const;
};

/// Reads [offset, offset + bytes.size()) of a file.
using ReadBytes = std::function<void(int64_t offset, std::span<std::byte> bytes)>;

/// `path` is for messages only.
[[nodiscard]] SafetensorsHeader read_safetensors_header(const std::string& path, int64_t file_bytes,
                                                        const ReadBytes& read);

/// Product of `shape`; throws std::invalid_argument beginning with `where` on a negative size or
/// more than 2^63 - 1 elements.
[[nodiscard]] int64_t checked_numel(const std::vector<int64_t>& shape, const std::string& where);

}  // namespace phalanx
