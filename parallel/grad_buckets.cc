#include "parallel/grad_buckets.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cummax.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/logical_and.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/sort.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <ATen/record_function.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "parallel/fp8.h"
#include "parallel/kernels/stochastic_add.h"
#include "parallel/kernels/vocab_rows.h"

namespace phalanx {
namespace {

bool is_bf16(const Parameter& parameter) { return parameter.grad.scalar_type() == at::kBFloat16; }

/// A row's sum over its tokens, in their order, stands where the first of them does once tokens are
/// sorted by row; elsewhere the row is -1. How many rows occur is not asked, since on CUDA the host
/// would have to wait for the answer.
struct RowSums {
  at::Tensor row_N, sum_ND;
};

RowSums sums_by_row(const at::Tensor& row_N, const at::Tensor& value_ND) {
  const int64_t n = row_N.size(0);
  const auto [sorted_N, source_N] =
      at::sort(row_N, /*stable=*/true, /*dim=*/0, /*descending=*/false);
  const at::Tensor begins_N = at::ones({n}, sorted_N.options().dtype(at::kBool));
  begins_N.narrow(0, 1, n - 1).copy_(sorted_N.narrow(0, 1, n - 1) != sorted_N.narrow(0, 0, n - 1));
  const at::Tensor begin_N = at::where(begins_N, at::arange(n, sorted_N.options()), 0);
  const at::Tensor place_N = std::get<0>(at::cummax(begin_N, 0));
  const at::Tensor value = value_ND.index_select(0, source_N).to(at::kFloat);
  return {at::where(begins_N, sorted_N, -1), at::zeros_like(value).index_add_(0, place_N, value)};
}

/// The gradients as one matrix where a product can be added to it in one go; else undefined.
at::Tensor fused_gradient(const std::vector<Parameter*>& parameters) {
  std::vector<at::Tensor> matrices;
  for (const Parameter* parameter : parameters) {
    if (is_bf16(*parameter)) return {};
    matrices.push_back(parameter->grad);
  }
  return side_by_side(matrices);
}

/// A vector is one row.
at::Tensor as_rows(const at::Tensor& grad) { return grad.dim() == 1 ? grad.unsqueeze(0) : grad; }

}  // namespace

GradBuckets::GradBuckets(ParameterSet& parameters, Communicator& data_parallel,
                         Communicator& tensor_parallel, uint64_t seed, const GradientSums& sums)
    : parameters_(parameters),
      data_parallel_(data_parallel),
      tensor_parallel_(tensor_parallel),
      seed_(seed),
      sums_(sums) {
  for (const Bucket& bucket : parameters_.buckets()) {
    if (sums_.leaf_group_size > 0) {
      TORCH_INTERNAL_ASSERT(bucket.grads.scalar_type() == at::kFloat, "leaves are fp32");
      leaves_.emplace_back(sums_.leaf_group_size);
    }
    const int64_t replicas = data_parallel_.size();
    shares_.push_back(replicas == 1
                          ? bucket.grads
                          : at::empty({bucket.padded_numel / replicas}, bucket.grads.options()));
  }
}

void GradBuckets::begin_step(int64_t num_micro_batches, int64_t step) {
  RECORD_USER_SCOPE("zero gradients");
  step_ = step;
  contribution_ = 0;
  contributions_left_.assign(parameters_.buckets().size(), 0);
  reductions_.clear();
  const bool buckets_cleared = std::exchange(cleared_, false) && data_parallel_.size() == 1;
  for (size_t b = 0; b < contributions_left_.size(); ++b) {
    if (!buckets_cleared) parameters_.buckets()[b].grads.zero_();
    if (!leaves_.empty()) leaves_[b].begin(num_micro_batches);
    expect_contributions(static_cast<int64_t>(b), leaves_.empty() ? num_micro_batches : 1);
  }
}

void GradBuckets::expect_contributions(int64_t bucket, int64_t num_passes) {
  int64_t uses = 0;
  for (const Parameter* parameter : parameters_.buckets()[bucket].parameters) {
    uses += parameter->uses;
  }
  contributions_left_[bucket] = uses * num_passes;
}

void GradBuckets::add_rounded(Parameter& parameter, int64_t first_row, const at::Tensor& value_VC,
                              const at::Tensor& row_V) {
  const ShardSpec& spec = parameter.spec;
  const at::Tensor grad_RC = as_rows(parameter.grad);
  const int64_t columns = spec.full_shape.back();
  const bool cuts_columns = spec.dim + 1 == static_cast<int64_t>(spec.full_shape.size());
  const auto rank = static_cast<uint64_t>(data_parallel_.rank() * tensor_parallel_.size() +
                                          tensor_parallel_.rank());
  const uint64_t key = key_for(named_key(parameter.name, seed_), KeyUse::kGradientRounding, step_);
  stochastic_add({grad_RC.narrow(0, first_row, grad_RC.size(0) - first_row), value_VC, row_V,
                  spec.used.begin * (cuts_columns ? 1 : columns) + first_row * columns, columns,
                  kernels::keyed_bits(kernels::keyed_bits(key, rank), contribution_)});
}

void GradBuckets::add_product(Parameter& parameter, const at::Tensor& dy_NO,
                              const at::Tensor& x_NI) {
  const Products products = parameter.products;
  if (!is_bf16(parameter)) return linear_backward_weight(parameter.grad, dy_NO, x_NI, products);
  const int64_t rows = parameter.grad.size(0), columns = parameter.grad.size(1);
  if (rows == 0 || columns == 0) return;
  const int64_t rows_at_once = std::clamp<int64_t>(kProductElements / columns, 1, rows);
  if (!product_.defined() || product_.numel() < rows_at_once * columns) {
    product_ = at::empty({rows_at_once * columns}, parameter.grad.options().dtype(at::kFloat));
  }
  for (int64_t first = 0; first < rows; first += rows_at_once) {
    const int64_t count = std::min(rows_at_once, rows - first);
    const at::Tensor part_OI = product_.narrow(0, 0, count * columns).view({count, columns});
    linear_backward_weight(part_OI.zero_(), dy_NO.narrow(1, first, count), x_NI, products);
    add_rounded(parameter, first, part_OI);
  }
}

void GradBuckets::accumulate_linear(const std::vector<Parameter*>& parameters,
                                    const at::Tensor& dy_NO, const at::Tensor& x_NI,
                                    Contribution kind) {
  ++contribution_;
  if (const at::Tensor grad_OI = fused_gradient(parameters); grad_OI.defined()) {
    linear_backward_weight(grad_OI, dy_NO, x_NI, parameters.front()->products);
  } else {
    int64_t first_row = 0;
    for (Parameter* parameter : parameters) {
      const int64_t rows = parameter->grad.size(0);
      add_product(*parameter, dy_NO.narrow(1, first_row, rows), x_NI);
      first_row += rows;
    }
  }
  if (kind == Contribution::kMore) return;
  for (Parameter* parameter : parameters) note(*parameter);
}

void GradBuckets::accumulate(Parameter& parameter, const at::Tensor& value, bool whole_everywhere) {
  ++contribution_;
  if (!whole_everywhere || tensor_parallel_.rank() == 0) {
    if (is_bf16(parameter)) {
      add_rounded(parameter, 0, as_rows(value.to(at::kFloat).contiguous()));
    } else {
      parameter.grad.add_(value);
    }
  }
  note(parameter);
}

void GradBuckets::add_rows(Parameter& parameter, const at::Tensor& index_N,
                           const at::Tensor& value_ND) {
  const int64_t rows = parameter.grad.size(0);
  if (parameter.grad.is_cuda() && !is_bf16(parameter)) {
    return add_rows_cuda_(parameter.grad, index_N, value_ND);
  }
  const at::Tensor inside_N = at::logical_and(index_N >= 0, index_N < rows);
  if (is_bf16(parameter)) {  // a row's sum over tokens is rounded once
    const RowSums sums = sums_by_row(at::where(inside_N, index_N, -1), value_ND);
    return add_rounded(parameter, 0, sums.sum_ND, sums.row_N);
  }
  const at::Tensor value = value_ND.to(at::kFloat);
  const at::Tensor kept_ND = at::where(inside_N.unsqueeze(1), value, at::zeros_like(value));
  parameter.grad.index_add_(0, index_N.clamp(0, rows - 1), kept_ND);
}

void GradBuckets::accumulate_rows(Parameter& parameter, const at::Tensor& index_N,
                                  const at::Tensor& value_ND) {
  RECORD_USER_SCOPE("embedding");
  ++contribution_;
  const int64_t rows = parameter.grad.size(0);
  if (rows > 0 && index_N.numel() > 0) add_rows(parameter, index_N, value_ND);
  note(parameter);
}

void GradBuckets::note(Parameter& parameter) {
  int64_t& left = contributions_left_[parameter.bucket];
  TORCH_INTERNAL_ASSERT(left > 0, parameter.name, ": more contributions than were declared");
  if (--left == 0) close(parameter.bucket);
}

void GradBuckets::close(int64_t bucket) {
  if (!leaves_.empty() && !leaves_[bucket].add(parameters_.buckets()[bucket].grads)) {
    return expect_contributions(bucket, 1);
  }
  start_reduction(bucket);
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
      shares_[bucket], parameters_.buckets()[bucket].grads, sums_.order));
}

const std::vector<at::Tensor>& GradBuckets::finish() {
  for (const int64_t left : contributions_left_) {
    TORCH_INTERNAL_ASSERT(left == 0, "a parameter got fewer contributions than were declared");
  }
  for (WorkHandle& reduction : reductions_) reduction->wait();
  if (tensor_parallel_.size() > 1) {
    const bool any = sums_.order == SumOrder::kAny;
    for (size_t b = 0; b < shares_.size(); ++b) {
      if (!parameters_.buckets()[b].summed_over_tp) continue;
      tensor_parallel_
          .all_reduce(shares_[b], ReduceOp::kSum, any ? SumOrder::kAny : SumOrder::kRankOrder)
          ->wait();
    }
  }
  return shares_;
}

}  // namespace phalanx
