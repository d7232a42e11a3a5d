// Gradients of micro-batches summed by one tree, however many replicas share it.
#include "parallel/leaf_sums.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <vector>

#include "parallel/communicator.h"
#include "parallel/row_sums.h"

namespace phalanx {
namespace {

/// Leaves whose sums show the order in which they were added.
at::Tensor leaves(int64_t count) {
  return (at::arange(count * 33, at::kFloat).view({count, 33}) * 1.7).sin() * 1e4;
}

at::Tensor sum_of(LeafSums& sums, const at::Tensor& leaves_LN) {
  sums.begin(leaves_LN.size(0));
  const at::Tensor leaf_N = at::zeros({leaves_LN.size(1)});
  for (int64_t i = 0; i < leaves_LN.size(0); ++i) {
    leaf_N.add_(leaves_LN[i]);
    const bool done = sums.add(leaf_N);
    EXPECT_EQ(done, i + 1 == leaves_LN.size(0));
    EXPECT_TRUE(done || at::all(leaf_N == 0).item<bool>());
  }
  return leaf_N;
}

TEST(LeafSums, AreTheTreeOfTheirLeaves) {
  LeafSums sums(1);
  for (const int64_t count : {1, 2, 3, 4, 5, 8, 13, 16, 4}) {
    const at::Tensor all = leaves(count);
    EXPECT_TRUE(at::equal(sum_of(sums, all), sum_rows(all.clone(), SumOrder::kTreeOrder))) << count;
  }
}

TEST(LeafSums, GroupsAreSummedInOrderFirst) {
  LeafSums sums(3);
  const at::Tensor all = leaves(12);
  std::vector<at::Tensor> groups;
  for (int64_t g = 0; g < 4; ++g) {
    groups.push_back(sum_rows(all.narrow(0, 3 * g, 3).clone(), SumOrder::kRankOrder));
  }
  EXPECT_TRUE(at::equal(sum_of(sums, all), sum_rows(at::stack(groups), SumOrder::kTreeOrder)));
  EXPECT_THROW(sums.begin(4), c10::Error);
}

TEST(LeafSums, ReplicasThatShareTheTreeGetItsBits) {
  for (const int64_t group : {1, 2}) {
    const at::Tensor all = leaves(16);
    LeafSums alone(group);
    const at::Tensor expected = sum_of(alone, all);
    EXPECT_FALSE(at::equal(expected, sum_rows(all.clone(), SumOrder::kRankOrder)));
    for (const int64_t replicas : {2, 4, 8}) {
      std::vector<at::Tensor> rows;
      for (int64_t r = 0; r < replicas; ++r) {
        LeafSums sums(group);
        rows.push_back(sum_of(sums, all.narrow(0, r * 16 / replicas, 16 / replicas)));
      }
      EXPECT_TRUE(at::equal(sum_rows(at::stack(rows), SumOrder::kTreeOrder), expected))
          << replicas << " replicas, groups of " << group;
    }
  }
}

TEST(LeafSums, BuffersGrowWithTheLogarithmOfTheGroups) {
  EXPECT_EQ(LeafSums::num_buffers(1, 1), 0);
  EXPECT_EQ(LeafSums::num_buffers(2, 1), 1);
  EXPECT_EQ(LeafSums::num_buffers(64, 1), 6);
  EXPECT_EQ(LeafSums::num_buffers(64, 64), 1);
  EXPECT_EQ(LeafSums::num_buffers(64, 16), 3);
}

}  // namespace
}  // namespace phalanx
