#pragma once
// Key-value heads that several query heads share, where a kernel wants one for each query head.
// Local; on the current stream, without the host waiting for it. Heads are dimension 1.
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace phalanx {

/// Head i of the result is head query_to_kv[i] of x.
at::Tensor repeat_heads(const at::Tensor& x, const std::vector<int64_t>& query_to_kv);

/// dkv[:, map[i]] = sum over i in order of d[:, i], in fp32, rounded once. The query heads of a
/// key-value head lie side by side, and each has one (split_heads()).
void sum_over_groups(const at::Tensor& d, const std::vector<int64_t>& query_to_kv,
                     const at::Tensor& dkv);

}  // namespace phalanx
