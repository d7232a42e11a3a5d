#include "trainer/world_sums.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <numeric>

namespace phalanx {

WorldSums::WorldSums(size_t count, Summation summation)
    : values_(count), exact_(summation == Summation::kExact ? count : 0) {}

void WorldSums::add(size_t index, double value) {
  if (exact_.empty()) {
    values_[index] += value;
  } else {
    exact_[index].add(value);
  }
}

void WorldSums::add_all(size_t index, std::span<const double> values) {
  if (exact_.empty()) return add(index, std::accumulate(values.begin(), values.end(), 0.0));
  for (const double value : values) exact_[index].add(value);
}

void WorldSums::reduce(Communicator& control) {
  if (!exact_.empty()) return reduce_exact(control);
  const at::Tensor all =
      at::from_blob(values_.data(), {static_cast<int64_t>(values_.size())}, at::kDouble);
  control.all_reduce(all, ReduceOp::kSum, SumOrder::kRankOrder)->wait();
}

void WorldSums::reduce_exact(Communicator& control) {
  const at::Tensor all = at::empty(
      {static_cast<int64_t>(exact_.size()), static_cast<int64_t>(ExactSum::kNumWords)}, at::kLong);
  int64_t* word = all.mutable_data_ptr<int64_t>();
  for (size_t i = 0; i < exact_.size(); ++i) {
    const ExactSum::Words& mine = exact_[i].settled();
    std::copy(mine.begin(), mine.end(), word + i * ExactSum::kNumWords);
  }
  control.all_reduce(all, ReduceOp::kSum)->wait();
  for (size_t i = 0; i < exact_.size(); ++i) {
    ExactSum::Words sum;
    std::copy_n(word + i * ExactSum::kNumWords, ExactSum::kNumWords, sum.begin());
    values_[i] = ExactSum::value_of(sum);
  }
}

}  // namespace phalanx
