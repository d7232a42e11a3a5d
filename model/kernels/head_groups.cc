#include "model/kernels/head_groups.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <c10/util/Exception.h>

namespace phalanx {

at::Tensor repeat_heads(const at::Tensor& x, const std::vector<int64_t>& query_to_kv) {
  // A map in memory would have to go to the device at each call.
  std::vector<at::Tensor> heads;
  heads.reserve(query_to_kv.size());
  for (const int64_t kv : query_to_kv) heads.push_back(x.narrow(1, kv, 1));
  return at::cat(heads, 1);
}

void sum_over_groups(const at::Tensor& d, const std::vector<int64_t>& query_to_kv,
                     const at::Tensor& dkv) {
  const int64_t num_queries = static_cast<int64_t>(query_to_kv.size());
  for (int64_t kv = 0, i = 0; kv < dkv.size(1); ++kv) {
    const auto serves = [&](int64_t query) {
      return query < num_queries && query_to_kv[static_cast<size_t>(query)] == kv;
    };
    TORCH_INTERNAL_ASSERT(serves(i), "every key-value head serves a query");
    at::Tensor sum = d.select(1, i).to(at::kFloat);
    while (serves(++i)) sum = sum + d.select(1, i);
    dkv.select(1, kv).copy_(sum);
  }
}

}  // namespace phalanx
