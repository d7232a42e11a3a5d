#include "parallel/grad_buckets.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/logical_and.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>
#include <c10/util/Exception.h>

#include "parallel/fp8.h"
#include "parallel/kernels/vocab_rows.h"

namespace phalanx {

GradBuckets::GradBuckets(ParameterSet& parameters, Communicator& data_parallel,
                         Communicator& tensor_parallel)
    : parameters_(parameters), data_parallel_(data_parallel), tensor_parallel_(tensor_parallel) {
  for (const Bucket& bucket : parameters_.buckets()) {
    const int64_t replicas = data_parallel_.size();
    shares_.push_back(replicas == 1
                          ? bucket.grads
                          : at::empty({bucket.padded_numel / replicas}, bucket.grads.options()));
  }
}

void GradBuckets::begin_step(int64_t num_micro_batches) {
  contributions_left_.clear();
  reductions_.clear();
  for (Bucket& bucket : parameters_.buckets()) {
    bucket.grads.zero_();
    int64_t uses = 0;
    for (const Parameter* parameter : bucket.parameters) uses += parameter->uses;
    contributions_left_.push_back(uses * num_micro_batches);
  }
}

void GradBuckets::accumulate_linear(const std::vector<Parameter*>& parameters,
                                    const at::Tensor& dy_NO, const at::Tensor& x_NI,
                                    Contribution kind) {
  int64_t first_row = 0;
  for (Parameter* parameter : parameters) {
    const int64_t rows = parameter->grad.size(0);
    linear_backward_weight(parameter->grad, dy_NO.narrow(1, first_row, rows), x_NI,
                           parameter->products);
    first_row += rows;
    if (kind == Contribution::kLast) note(*parameter);
  }
}

void GradBuckets::accumulate(Parameter& parameter, const at::Tensor& value, bool whole_everywhere) {
  if (!whole_everywhere || tensor_parallel_.rank() == 0) parameter.grad.add_(value);
  note(parameter);
}

void GradBuckets::accumulate_rows(Parameter& parameter, const at::Tensor& index_N,
                                  const at::Tensor& value_ND) {
  const int64_t rows = parameter.grad.size(0);
  if (rows > 0 && parameter.grad.is_cuda()) {
    add_rows_cuda_(parameter.grad, index_N, value_ND);
  } else if (rows > 0) {
    const at::Tensor inside_N = at::logical_and(index_N >= 0, index_N < rows);
    const at::Tensor value = value_ND.to(at::kFloat);
    parameter.grad.index_add_(0, index_N.clamp(0, rows - 1),
                              at::where(inside_N.unsqueeze(1), value, at::zeros_like(value)));
  }
  note(parameter);
}

void GradBuckets::note(Parameter& parameter) {
  int64_t& left = contributions_left_[parameter.bucket];
  TORCH_INTERNAL_ASSERT(left > 0, parameter.name, ": more contributions than were declared");
  if (--left == 0) start_reduction(parameter.bucket);
}

void GradBuckets::count_pass() {
  TORCH_INTERNAL_ASSERT(data_parallel_.size() == 1, "a reduction starts inside the pass");
  for (size_t b = 0; b < contributions_left_.size(); ++b) {
    for (const Parameter* parameter : parameters_.buckets()[b].parameters) {
      contributions_left_[b] -= parameter->uses;
    }
    TORCH_INTERNAL_ASSERT(contributions_left_[b] >= 0, "more passes than were declared");
  }
}

void GradBuckets::start_reduction(int64_t bucket) {
  if (data_parallel_.size() == 1) return;
  reductions_.push_back(data_parallel_.reduce_scatter(
      shares_[bucket], parameters_.buckets()[bucket].grads, SumOrder::kRankOrder));
}

const std::vector<at::Tensor>& GradBuckets::finish() {
  for (const int64_t left : contributions_left_) {
    TORCH_INTERNAL_ASSERT(left == 0, "a parameter got fewer contributions than were declared");
  }
  for (WorkHandle& reduction : reductions_) reduction->wait();
  if (tensor_parallel_.size() > 1) {
    for (size_t b = 0; b < shares_.size(); ++b) {
      if (!parameters_.buckets()[b].summed_over_tp) continue;
      tensor_parallel_.all_reduce(shares_[b], ReduceOp::kSum, SumOrder::kRankOrder)->wait();
    }
  }
  return shares_;
}

}  // namespace phalanx
