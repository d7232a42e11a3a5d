#include "parallel/tp_linear.h"

#include <ATen/ops/empty.h>

#include "parallel/fp8.h"
#include "parallel/tp_overlap.h"

namespace phalanx {
namespace {

at::Tensor fused(const std::vector<Parameter*>& weights) {
  std::vector<at::Tensor> matrices;
  for (const Parameter* parameter : weights) matrices.push_back(parameter->ready());
  return side_by_side(matrices);
}

}  // namespace

ColumnParallelLinear::ColumnParallelLinear(ParameterSet& parameters, const TensorParallel& tp,
                                           const std::string& bucket, int64_t in_features,
                                           const std::vector<ColumnOutput>& outputs)
    : tp_(tp) {
  for (const ColumnOutput& output : outputs) {
    const auto make_spec = output.shared ? shared : sharded;
    const ShardSpec spec = make_spec({output.full_rows, in_features}, 0, output.used_rows);
    weights_.push_back(&parameters.declare(output.name, spec, bucket, /*decay=*/true));
    weights_.back()->products = parameters.linear_products();
  }
}

at::Tensor ColumnParallelLinear::forward(const at::Tensor& x_nD, int64_t num_tokens) const {
  return gather_behind(tp_, x_nD, num_tokens, [this](const at::Tensor& x) { return product(x); })
      .product_N;
}

at::Tensor ColumnParallelLinear::product(const at::Tensor& x_ND) const {
  if (const at::Tensor weight_fD = fused(weights_); weight_fD.defined()) {
    return linear_forward(x_ND, weight_fD, weights_.front()->products);
  }
  int64_t f = 0;
  for (const Parameter* parameter : weights_) f += parameter->weight.size(0);
  at::Tensor y_Nf = at::empty({x_ND.size(0), f}, x_ND.options());
  int64_t first = 0;
  for (const Parameter* parameter : weights_) {
    const int64_t rows = parameter->weight.size(0);
    y_Nf.narrow(1, first, rows)
        .copy_(linear_forward(x_ND, parameter->ready(), parameter->products));
    first += rows;
  }
  return y_Nf;
}

at::Tensor ColumnParallelLinear::backward(const at::Tensor& dy_Nf, const at::Tensor& x_nD,
                                          GradBuckets& grads) const {
  PendingTensor x_ND = tp_.start_gather(x_nD, dy_Nf.size(0));
  PendingTensor dx_nD = tp_.start_reduce(product_backward(dy_Nf));
  grads.accumulate_linear(weights_, dy_Nf, x_ND.wait());
  return dx_nD.wait();
}

at::Tensor ColumnParallelLinear::product_backward(const at::Tensor& dy_Nf) const {
  if (const at::Tensor weight_fD = fused(weights_); weight_fD.defined()) {
    return linear_backward_input(dy_Nf, weight_fD, weights_.front()->products);
  }
  at::Tensor dx_ND;
  int64_t first = 0;
  for (const Parameter* parameter : weights_) {
    const at::Tensor dy_Np = dy_Nf.narrow(1, first, parameter->weight.size(0));
    if (dx_ND.defined()) {
      if (parameter->products == Products::kCompute) {
        linear_backward_input_add(dx_ND, dy_Np, parameter->ready());
      } else {
        dx_ND.add_(linear_backward_input(dy_Np, parameter->ready(), parameter->products));
      }
    } else {
      dx_ND = linear_backward_input(dy_Np, parameter->ready(), parameter->products);
    }
    first += parameter->weight.size(0);
  }
  return dx_ND;
}

RowParallelLinear::RowParallelLinear(ParameterSet& parameters, const TensorParallel& tp,
                                     const std::string& bucket, const std::string& name,
                                     int64_t out_features, int64_t full_in, Range used_in)
    : tp_(tp),
      weight_(&parameters.declare(name, sharded({out_features, full_in}, 1, used_in), bucket,
                                  /*decay=*/true)) {
  weight_->products = parameters.linear_products();
}

at::Tensor RowParallelLinear::forward(const at::Tensor& x_Nf) const {
  return reduce_behind(tp_, x_Nf, [this](const at::Tensor& x) {
    return linear_forward(x, weight_->ready(), weight_->products);
  });
}

at::Tensor RowParallelLinear::backward(const at::Tensor& dy_nD, const at::Tensor& x_Nf,
                                       GradBuckets& grads) const {
  const GatheredProduct dx = gather_behind(
      tp_, dy_nD, x_Nf.size(0),
      [this](const at::Tensor& dy) {
        return linear_backward_input(dy, weight_->ready(), weight_->products);
      },
      Gathered::kKeep);
  grads.accumulate_linear({weight_}, dx.gathered_N, x_Nf);
  return dx.product_N;
}

}  // namespace phalanx
