#pragma once
// Linear layers without bias whose weights are cut over the tensor-parallel axis. Forward and
// backward are explicit; what backward needs is passed back in, so the caller decides what is kept.
// Collective over tp: every forward and backward, every rank, same order.
// Ownership: refer to parameters of a ParameterSet and to the TensorParallel, which must outlive
// them. Shapes: small letters are this rank's part.
#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "parallel/grad_buckets.h"
#include "parallel/parameters.h"
#include "parallel/tp_ops.h"

namespace phalanx {

/// A weight whose rows are cut: [full_rows, in]. Rows of several outputs (query, key, value) lie
/// side by side and are computed by one product when their weights are adjacent in memory.
struct ColumnOutput {
  std::string name;  // of the parameter
  int64_t full_rows;
  Range used_rows;
  bool shared = false;  // true: rows overlap with other ranks' (ParamRole::kShared)
};

class ColumnParallelLinear {
 public:
  ColumnParallelLinear(ParameterSet& parameters, const TensorParallel& tp,
                       const std::string& bucket, int64_t in_features,
                       const std::vector<ColumnOutput>& outputs);

  /// x_nD is gathered behind the product; y_Nf holds the outputs' used rows side by side.
  at::Tensor forward(const at::Tensor& x_nD, int64_t num_tokens) const;
  /// Adds the weight gradients and returns dx_nD, reduced over tp. x_nD is gathered behind the
  /// product for dx, which is reduced behind that for the weights.
  at::Tensor backward(const at::Tensor& dy_Nf, const at::Tensor& x_nD, GradBuckets& grads) const;

 private:
  at::Tensor product(const at::Tensor& x_ND) const;
  at::Tensor product_backward(const at::Tensor& dy_Nf) const;

  const TensorParallel& tp_;
  std::vector<Parameter*> weights_;
};

/// A weight whose columns are cut: [out, full_in].
class RowParallelLinear {
 public:
  RowParallelLinear(ParameterSet& parameters, const TensorParallel& tp, const std::string& bucket,
                    const std::string& name, int64_t out_features, int64_t full_in, Range used_in);

  /// x_Nf -> y_nD, reduced over tp behind the product.
  at::Tensor forward(const at::Tensor& x_Nf) const;
  /// Adds the weight gradient and returns dx_Nf; dy_nD is gathered behind the product.
  at::Tensor backward(const at::Tensor& dy_nD, const at::Tensor& x_Nf, GradBuckets& grads) const;

 private:
  const TensorParallel& tp_;
  Parameter* weight_;
};

}  // namespace phalanx
