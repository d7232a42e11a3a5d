#pragma once
// Which part of a logical tensor this rank holds: one rule for init, layers and checkpoints.
// Pure arithmetic, local. What does not divide is split by ceiling: the last parts are shorter, or
// empty, and nothing is padded.
#include <cstdint>
#include <string>
#include <vector>

namespace phalanx {

/// Half-open range of rows, columns or heads.
struct Range {
  int64_t begin = 0;
  int64_t end = 0;
  int64_t size() const { return end - begin; }
  bool operator==(const Range&) const = default;
};

/// Part `index` of `parts` of [0, total): ceil(total / parts) each, the last ones shorter or empty.
Range split_range(int64_t total, int64_t parts, int64_t index);

/// kSharded: each tensor-parallel rank stores and uses its own rectangle.
/// kReplicated: all store and use the whole tensor (norms).
/// kShared: all store the whole tensor, each uses a rectangle that may overlap with others'
/// (key and value heads that do not divide by the tensor-parallel size).
/// Gradients of replicated and shared tensors are summed over tp; they count once in a norm and are
/// stored once in a checkpoint, by the first tensor-parallel rank.
enum class ParamRole { kSharded, kReplicated, kShared };

struct ShardSpec {
  std::vector<int64_t> full_shape;
  ParamRole role = ParamRole::kReplicated;
  int64_t dim = 0;  // the dimension that is cut
  Range used;       // the part of dim this rank uses

  std::vector<int64_t> used_shape() const;
  /// used_shape() if sharded, else full_shape.
  std::vector<int64_t> stored_shape() const;
  /// The part of dim this rank stores.
  Range stored() const;
};

ShardSpec replicated(std::vector<int64_t> full_shape);
ShardSpec sharded(std::vector<int64_t> full_shape, int64_t dim, Range used);
ShardSpec shared(std::vector<int64_t> full_shape, int64_t dim, Range used);

/// How attention heads fall on one tensor-parallel rank. Query heads split evenly; the rank also
/// uses every key-value head that its queries need.
struct HeadSplit {
  Range query;                       // of the model's query heads
  Range key_value;                   // of the model's key-value heads
  bool key_value_divides = true;     // false: key and value tensors are kShared
  std::vector<int64_t> query_to_kv;  // local query head -> local key-value head
};

/// Throws std::invalid_argument when the query heads do not divide by `parts`.
HeadSplit split_heads(int64_t num_query_heads, int64_t num_kv_heads, int64_t parts, int64_t index);

}  // namespace phalanx
