#include "parallel/shard_spec.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

namespace phalanx {

Range split_range(int64_t total, int64_t parts, int64_t index) {
  const int64_t part = (total + parts - 1) / parts;
  const int64_t begin = std::min(index * part, total);
  return {begin, std::min(begin + part, total)};
}

std::vector<int64_t> ShardSpec::used_shape() const {
  std::vector<int64_t> shape = full_shape;
  shape[dim] = used.size();
  return shape;
}

Range ShardSpec::stored() const {
  return role == ParamRole::kSharded ? used : Range{0, full_shape[dim]};
}

std::vector<int64_t> ShardSpec::stored_shape() const {
  std::vector<int64_t> shape = full_shape;
  shape[dim] = stored().size();
  return shape;
}

ShardSpec replicated(std::vector<int64_t> full_shape) {
  const Range all{0, full_shape[0]};
  return {std::move(full_shape), ParamRole::kReplicated, 0, all};
}

ShardSpec sharded(std::vector<int64_t> full_shape, int64_t dim, Range used) {
  return {std::move(full_shape), ParamRole::kSharded, dim, used};
}

ShardSpec shared(std::vector<int64_t> full_shape, int64_t dim, Range used) {
  return {std::move(full_shape), ParamRole::kShared, dim, used};
}

HeadSplit split_heads(int64_t num_query_heads, int64_t num_kv_heads, int64_t parts, int64_t index) {
  if (num_query_heads % parts != 0) {
    throw std::invalid_argument(
        fmt::format("parallel.tensor_parallel_size: expected a divisor of the {} attention heads, "
                    "got {}",
                    num_query_heads, parts));
  }
  const int64_t group = num_query_heads / num_kv_heads;  // query heads a key-value head serves
  HeadSplit split;
  split.query = split_range(num_query_heads, parts, index);
  split.key_value = {split.query.begin / group, (split.query.end - 1) / group + 1};
  split.key_value_divides = num_kv_heads % parts == 0;
  for (int64_t head = split.query.begin; head < split.query.end; ++head) {
    split.query_to_kv.push_back(head / group - split.key_value.begin);
  }
  return split;
}

}  // namespace phalanx
