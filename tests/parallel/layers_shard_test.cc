// How logical tensors fall on ranks, and how a rank lays its parameters out in memory.
#include <gtest/gtest.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "parallel/parameters.h"
#include "parallel/shard_spec.h"

namespace phalanx {
namespace {

TEST(SplitRange, PartsAreNeighboursThatCoverAllAndTheLastAreShorterOrEmpty) {
  for (const int64_t total : {0, 1, 3, 8, 9, 103}) {
    for (const int64_t parts : {1, 2, 3, 4, 8}) {
      int64_t end = 0;
      for (int64_t i = 0; i < parts; ++i) {
        const Range part = split_range(total, parts, i);
        EXPECT_EQ(part.begin, end) << total << " over " << parts;
        EXPECT_LE(part.size(), (total + parts - 1) / parts);
        end = part.end;
      }
      EXPECT_EQ(end, total) << total << " over " << parts;
    }
  }
  EXPECT_EQ(split_range(103, 8, 7), (Range{91, 103}));
  EXPECT_EQ(split_range(9, 8, 5), (Range{9, 9}));
}

TEST(SplitHeads, TenKeyValueHeadsAreSharedAtFourAndEightAndCutAtTwo) {
  const HeadSplit half = split_heads(40, 10, 2, 1);
  EXPECT_TRUE(half.key_value_divides);
  EXPECT_EQ(half.query, (Range{20, 40}));
  EXPECT_EQ(half.key_value, (Range{5, 10}));
  const HeadSplit quarter = split_heads(40, 10, 4, 1);
  EXPECT_FALSE(quarter.key_value_divides);
  EXPECT_EQ(quarter.key_value, (Range{2, 5}));
  EXPECT_EQ(quarter.query_to_kv, (std::vector<int64_t>{0, 0, 1, 1, 1, 1, 2, 2, 2, 2}));
  EXPECT_EQ(split_heads(40, 10, 8, 0).query_to_kv, (std::vector<int64_t>{0, 0, 0, 0, 1}));
  EXPECT_EQ(split_heads(40, 10, 8, 1).query_to_kv, (std::vector<int64_t>{0, 0, 0, 1, 1}));
}

TEST(SplitHeads, EveryQueryHeadMeetsTheKeyValueHeadOfTheWholeModel) {
  for (const auto& [query, kv] : {std::pair{40, 10}, {8, 2}, {8, 8}, {24, 8}, {8, 1}}) {
    for (const int64_t parts : {1, 2, 4, 8}) {
      for (int64_t i = 0; i < parts; ++i) {
        const HeadSplit split = split_heads(query, kv, parts, i);
        ASSERT_EQ(static_cast<int64_t>(split.query_to_kv.size()), query / parts);
        std::vector<bool> used(static_cast<size_t>(split.key_value.size()));
        for (size_t h = 0; h < split.query_to_kv.size(); ++h) {
          const int64_t head = split.query.begin + static_cast<int64_t>(h);
          EXPECT_EQ(split.key_value.begin + split.query_to_kv[h], head / (query / kv));
          used.at(static_cast<size_t>(split.query_to_kv[h])) = true;
        }
        EXPECT_EQ(std::count(used.begin(), used.end(), false), 0) << query << ":" << kv;
      }
    }
  }
}

TEST(SplitHeads, QueryHeadsThatDoNotDivideAreAnErrorThatNamesTheField) {
  try {
    (void)split_heads(40, 10, 3, 0);
    FAIL() << "accepted 40 heads on 3 ranks";
  } catch (const std::invalid_argument& error) {
    EXPECT_STREQ(error.what(),
                 "parallel.tensor_parallel_size: expected a divisor of the 40 attention heads, "
                 "got 3");
  }
}

/// Norms, an embedding, and two matrices of one layer that are computed together.
void declare_some(ParameterSet& set) {
  set.declare("norm", replicated({5}), "shared", false);
  set.declare("embedding", sharded({103, 5}, 0, {52, 103}), "embedding", true);
  set.declare("gate", sharded({70, 5}, 0, {7, 20}), "layer", true);
  set.declare("key", shared({40, 5}, 0, {8, 20}), "layer", true);
  set.declare("up", sharded({70, 5}, 0, {7, 20}), "layer", true);
  set.declare("down", sharded({5, 70}, 1, {7, 20}), "layer", true);
}

TEST(ParameterSet, OffsetsDoNotDependOnTheNumberOfReplicas) {
  ParameterSet one, three;
  declare_some(one);
  declare_some(three);
  one.allocate(at::kFloat, at::kCPU, 1);
  three.allocate(at::kBFloat16, at::kCPU, 3);
  for (size_t i = 0; i < one.parameters().size(); ++i) {
    EXPECT_EQ(one.parameters()[i]->offset, three.parameters()[i]->offset);
    EXPECT_EQ(one.parameters()[i]->bucket, three.parameters()[i]->bucket);
  }
  for (size_t b = 0; b < one.buckets().size(); ++b) {
    EXPECT_EQ(one.buckets()[b].numel, three.buckets()[b].numel);
    EXPECT_EQ(one.buckets()[b].padded_numel, kBucketAlignment);
    EXPECT_EQ(three.buckets()[b].padded_numel, 3 * kBucketAlignment);
    EXPECT_EQ(three.buckets()[b].weights.scalar_type(), at::kBFloat16);
    EXPECT_EQ(three.buckets()[b].grads.scalar_type(), at::kFloat);
  }
}

TEST(ParameterSet, NeighboursLieTogetherAndSharedTensorsInABucketOfTheirOwn) {
  ParameterSet set;
  declare_some(set);
  set.allocate(at::kFloat, at::kCPU, 2);
  const auto& all = set.parameters();
  const auto bucket_of = [&](size_t i) {
    return set.buckets()[static_cast<size_t>(all[i]->bucket)].name;
  };
  EXPECT_EQ(bucket_of(0), "shared");
  EXPECT_EQ(bucket_of(3), "shared");
  EXPECT_EQ(bucket_of(2), "layer");
  const Parameter &gate = *all[2], &key = *all[3], &up = *all[4], &down = *all[5];
  EXPECT_EQ(up.weight.data_ptr<float>(), gate.weight.data_ptr<float>() + 13 * 5);
  EXPECT_EQ(up.grad.data_ptr<float>(), gate.grad.data_ptr<float>() + 13 * 5);
  EXPECT_EQ(down.weight.sizes().vec(), (std::vector<int64_t>{5, 13}));
  // A shared tensor is stored whole; weight and grad are the part in use.
  EXPECT_EQ(key.numel, 200);
  EXPECT_EQ(key.weight.sizes().vec(), (std::vector<int64_t>{12, 5}));
  const Bucket& bucket = set.buckets()[static_cast<size_t>(key.bucket)];
  EXPECT_TRUE(bucket.summed_over_tp);
  EXPECT_EQ(key.weight.data_ptr<float>(), bucket.weights.data_ptr<float>() + key.offset + 8 * 5);
}

}  // namespace
}  // namespace phalanx
