#include "parallel/tp_ops.h"

#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/empty.h>

namespace phalanx {

at::Tensor PendingTensor::wait() {
  if (work_) {
    work_->wait();
    work_.reset();
  }
  return result_;
}

PendingTensor TensorParallel::start_gather(const at::Tensor& x_nD, int64_t num_tokens) const {
  if (!sequence_parallel_) return PendingTensor(x_nD);
  at::Tensor x_ND = at::empty({x_nD.size(0) * group_.size(), x_nD.size(1)}, x_nD.options());
  WorkHandle work = group_.all_gather(x_ND, x_nD.contiguous());
  return PendingTensor(x_ND.narrow(0, 0, num_tokens), std::move(work));
}

PendingTensor TensorParallel::start_reduce(const at::Tensor& y_ND) const {
  if (group_.size() == 1) return PendingTensor(y_ND);
  if (!sequence_parallel_) {
    at::Tensor y = y_ND.contiguous();
    WorkHandle work = group_.all_reduce(y, ReduceOp::kSum);
    return PendingTensor(y, std::move(work));
  }
  const int64_t n = (y_ND.size(0) + group_.size() - 1) / group_.size();
  const int64_t num_pad = n * group_.size() - y_ND.size(0);
  const at::Tensor padded_ND = num_pad == 0 ? y_ND : at::constant_pad_nd(y_ND, {0, 0, 0, num_pad});
  at::Tensor y_nD = at::empty({n, y_ND.size(1)}, y_ND.options());
  WorkHandle work = group_.reduce_scatter(y_nD, padded_ND.contiguous());
  return PendingTensor(y_nD, std::move(work));
}

}  // namespace phalanx
