#pragma once
// Sums of fp64 values over all ranks, several at once. In order: each rank's in the order of add(),
// then ranks in theirs. Exact: the same bits however values are shared out over ranks.
// Collective: reduce() over the control group, every rank, once; the rest is local.
#include <cstddef>
#include <span>
#include <vector>

#include "parallel/communicator.h"
#include "trainer/exact_sum.h"

namespace phalanx {

enum class Summation { kInOrder, kExact };

class WorldSums {
 public:
  WorldSums(size_t count, Summation summation);

  void add(size_t index, double value);
  /// In order, `values` are summed first, by themselves.
  void add_all(size_t index, std::span<const double> values);
  void reduce(Communicator& control);
  double operator[](size_t index) const { return values_[index]; }

 private:
  void reduce_exact(Communicator& control);

  std::vector<double> values_;
  std::vector<ExactSum> exact_;  // none when summed in order
};

}  // namespace phalanx
