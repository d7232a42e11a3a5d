#pragma once
// Strict reader of the safetensors format (github.com/huggingface/safetensors): a header of names,
// types and shapes, then the tensors one after another.
//
// Local; values only, no file stays open. Units are bytes.
// Every byte of a file has one meaning: no holes, no overlap, nothing behind the last tensor, no
// key twice. All counts are checked before anything is allocated by them; a header takes at most 16
// times its size in memory. Stricter than the reference reader, which lets these pass:
//   - blanks before the `{`, which the format forbids
//   - a name twice, of a tensor or in __metadata__: the last one wins there
//   - keys of a tensor other than dtype, shape and data_offsets; these three as an array, a dtype
//   as
//     an object, __metadata__ null: no writer makes them
//   - sizes, or products of them, beyond 2^63 - 1 in a tensor without elements; more than 64 sizes
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
  kF4,
  kF6E2M3,
  kF6E3M2,
  kU8,
  kI8,
  kF8E5M2,
  kF8E4M3,
  kF8E8M0,
  kF8E4M3Fnuz,
  kF8E5M2Fnuz,
  kI16,
  kU16,
  kF16,
  kBF16,
  kI32,
  kU32,
  kF32,
  kC64,
  kF64,
  kI64,
  kU64
};

[[nodiscard]] int64_t dtype_bytes(Dtype dtype);          // of a type of whole bytes
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

/// Bytes of a tensor in the file; throws as checked_numel() does, also where it ends in a part of a
/// byte (F4 and F6 are packed).
[[nodiscard]] int64_t stored_bytes(Dtype dtype, const std::vector<int64_t>& shape,
                                   const std::string& where);

}  // namespace phalanx
