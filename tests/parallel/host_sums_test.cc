#include "parallel/host_sums.h"

#include "parallel/row_sums.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace phalanx {
namespace {

at::Tensor reduce(const std::vector<at::Tensor>& terms, ReduceOp op) {
  const at::Tensor total_N = at::empty_like(terms[0]);
  std::vector<const std::byte*> inputs;
  for (const at::Tensor& term : terms) {
    inputs.push_back(static_cast<const std::byte*>(term.const_data_ptr()));
  }
  reduce_in_order(static_cast<std::byte*>(total_N.mutable_data_ptr()), inputs, total_N.numel(),
                  total_N.scalar_type(), op);
  return total_N;
}

TEST(HostSums, floats_are_added_in_the_order_given) {
  // (1e8 + 1) - 1e8 loses the one; 1 + (1e8 - 1e8) would keep it.
  const at::Tensor total_1 =
      reduce({at::full({1}, 1e8f), at::full({1}, 1.0f), at::full({1}, -1e8f)}, ReduceOp::kSum);
  EXPECT_EQ(total_1.item<float>(), 0.0f);
}

at::Tensor tree_sum(const std::vector<at::Tensor>& terms) {
  const at::Tensor total_N = at::empty_like(terms[0]);
  std::vector<const std::byte*> inputs;
  for (const at::Tensor& term : terms) {
    inputs.push_back(static_cast<const std::byte*>(term.const_data_ptr()));
  }
  sum_in(SumOrder::kTreeOrder, static_cast<std::byte*>(total_N.mutable_data_ptr()), inputs,
         total_N.numel(), total_N.scalar_type());
  return total_N;
}

TEST(HostSums, a_tree_adds_neighbours_first_and_leaves_one_without_a_neighbour_as_it_is) {
  const at::Tensor terms_RN = at::arange(9 * 5000, at::kFloat).view({9, 5000}).sin() * 1e3;
  std::vector<at::Tensor> terms;
  for (int64_t row = 0; row < 9; ++row) terms.push_back(terms_RN[row].clone());
  const auto& t = terms;
  EXPECT_TRUE(at::equal(tree_sum({t[0]}), t[0]));
  EXPECT_TRUE(at::equal(tree_sum({t[0], t[1], t[2]}), (t[0] + t[1]) + t[2]));
  EXPECT_TRUE(at::equal(tree_sum({t[0], t[1], t[2], t[3]}), (t[0] + t[1]) + (t[2] + t[3])));
  EXPECT_FALSE(at::equal(tree_sum({t[0], t[1], t[2], t[3]}),
                         reduce({t[0], t[1], t[2], t[3]}, ReduceOp::kSum)));
  const at::Tensor left = (t[0] + t[1]) + (t[2] + t[3]), right = (t[4] + t[5]) + (t[6] + t[7]);
  EXPECT_TRUE(at::equal(tree_sum(terms), (left + right) + t[8]));
  EXPECT_TRUE(at::equal(sum_rows(terms_RN.clone(), SumOrder::kTreeOrder), (left + right) + t[8]));
  const at::Tensor rows_RN = terms_RN.to(at::kBFloat16);
  std::vector<at::Tensor> narrow;
  for (int64_t row = 0; row < 9; ++row) narrow.push_back(rows_RN[row].clone());
  EXPECT_TRUE(at::equal(tree_sum(narrow), sum_rows(rows_RN, SumOrder::kTreeOrder)));
  EXPECT_TRUE(at::equal(reduce(narrow, ReduceOp::kSum), sum_rows(rows_RN, SumOrder::kRankOrder)));
}

TEST(HostSums, bf16_is_rounded_once_after_the_last_addition) {
  // 256 + 1 + 1 is 258 in fp32 but stays 256 when each sum is rounded to eight bits.
  const auto bf16 = [](double x) { return at::full({1}, x, at::kBFloat16); };
  EXPECT_EQ(reduce({bf16(256), bf16(1), bf16(1)}, ReduceOp::kSum).item<float>(), 258.0f);
}

TEST(HostSums, bf16_rounds_to_nearest_even_like_the_tensor_library) {
  const at::Tensor bits_N = at::arange(65536, at::kInt).to(at::kShort);
  const at::Tensor all_N = bits_N.view(at::kBFloat16).contiguous();
  const at::Tensor shifted_N = at::roll(all_N, 4097).contiguous();
  const at::Tensor expected_N = (all_N.to(at::kFloat) + shifted_N.to(at::kFloat)).to(at::kBFloat16);
  const at::Tensor found_N = reduce({all_N, shifted_N}, ReduceOp::kSum);
  EXPECT_TRUE(at::allclose(found_N.to(at::kFloat), expected_N.to(at::kFloat), 0, 0, true));
}

TEST(HostSums, integer_sums_wrap_around) {
  const int64_t largest = std::numeric_limits<int64_t>::max();
  const at::Tensor total_1 =
      reduce({at::full({1}, largest, at::kLong), at::full({1}, 1, at::kLong)}, ReduceOp::kSum);
  EXPECT_EQ(total_1.item<int64_t>(), std::numeric_limits<int64_t>::min());
}

TEST(HostSums, a_nan_wins_every_maximum) {
  const float bad = std::numeric_limits<float>::quiet_NaN();
  const at::Tensor one_1 = at::full({1}, 1.0f), bad_1 = at::full({1}, bad);
  EXPECT_TRUE(std::isnan(reduce({one_1, bad_1}, ReduceOp::kMax).item<float>()));
  EXPECT_TRUE(std::isnan(reduce({bad_1, one_1}, ReduceOp::kMax).item<float>()));
}

TEST(HostSums, other_dtypes_are_refused) {
  EXPECT_THROW(reduce({at::zeros({1}, at::kHalf)}, ReduceOp::kSum), c10::Error);
}

TEST(HostSums, slices_cover_everything_once_with_aligned_edges) {
  for (const int64_t count : {0, 1, 15, 16, 17, 100, 4096, 4097}) {
    for (const int parts : {1, 2, 3, 8}) {
      EXPECT_EQ(slice_begin(count, parts, 0), 0);
      EXPECT_EQ(slice_begin(count, parts, parts), count);
      for (int part = 0; part < parts; ++part) {
        const int64_t begin = slice_begin(count, parts, part);
        EXPECT_LE(begin, slice_begin(count, parts, part + 1));
        EXPECT_TRUE(begin % 16 == 0 || begin == count) << begin;
      }
    }
  }
}

}  // namespace
}  // namespace phalanx
