// Cross-entropy rows: the fused ones, their plain twins and the definition in double.
#include "parallel/kernels/cross_entropy.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <limits>

#include "tests/model/random_tensor.h"

namespace phalanx {
namespace {

struct Rows {
  at::Tensor logits_cv, targets_c, mask_c;
  Rows(int64_t c, int64_t v, at::ScalarType dtype)
      : logits_cv((random_tensor({c, v}, 1) * 4).to(dtype)),
        targets_c(at::arange(c, at::kLong).mul_(5).add_(v - 1).remainder_(v)),
        mask_c(at::arange(c, at::kLong).remainder(3).ne(1)) {}

  at::Tensor log_softmax() const { return logits_cv.to(at::kDouble).log_softmax(1); }
};

at::Tensor loss_of(const at::Tensor& statistics_3c) {
  return statistics_3c[0] + statistics_3c[1].log() - statistics_3c[2];
}

class CrossEntropyRows : public ::testing::TestWithParam<at::ScalarType> {};

TEST_P(CrossEntropyRows, FusedAndPlainGiveTheDefinition) {
  const double bound = GetParam() == at::kFloat ? 1e-6 : 4e-3;  // of the gradient, which is rounded
  for (const int64_t c : {1, 7, 40}) {
    for (const int64_t v : {1, 15, 16, 103, 1000}) {
      const Rows rows(c, v, GetParam());
      const at::Tensor log_p = rows.log_softmax();
      const at::Tensor one_hot = at::one_hot(rows.targets_c, v).to(at::kDouble);
      const at::Tensor loss = -(log_p * one_hot).sum(1);
      const at::Tensor gradient = (log_p.exp() - one_hot) * rows.mask_c.unsqueeze(1);
      for (const bool fused : {true, false}) {
        at::Tensor x = rows.logits_cv.clone();
        const at::Tensor statistics = fused ? cross_entropy_statistics(x, rows.targets_c, 0)
                                            : cross_entropy_statistics_plain(x, rows.targets_c, 0);
        EXPECT_LT((loss_of(statistics) - loss).abs().max().item<double>(), 5e-6) << c << " x " << v;
        const auto make = fused ? cross_entropy_gradient_ : cross_entropy_gradient_plain_;
        make(x, rows.targets_c, rows.mask_c, 0, statistics);
        EXPECT_LT((x.to(at::kDouble) - gradient).norm().item<double>(),
                  bound * gradient.norm().item<double>() + 1e-6)
            << c << " x " << v << ", fused " << fused;
      }
    }
  }
}

/// Columns cut in three, one part empty: the statistics combine to those of whole rows.
TEST_P(CrossEntropyRows, PartsOfTheVocabularyHoldTheirColumnsOnly) {
  const Rows rows(11, 90, GetParam());
  const at::Tensor whole = cross_entropy_statistics(rows.logits_cv, rows.targets_c, 0);
  at::Tensor whole_gradient = rows.logits_cv.clone();
  cross_entropy_gradient_(whole_gradient, rows.targets_c, rows.mask_c, 0, whole);
  at::Tensor sum = at::zeros({11}), target = at::zeros({11});
  for (const auto& [begin, end] : {std::pair{0, 37}, std::pair{37, 90}, std::pair{90, 90}}) {
    const at::Tensor part = rows.logits_cv.narrow(1, begin, end - begin).contiguous();
    const at::Tensor mine = cross_entropy_statistics(part, rows.targets_c, begin);
    sum += mine[1] * (mine[0] - whole[0]).exp();
    target += mine[2];
    cross_entropy_gradient_(part, rows.targets_c, rows.mask_c, begin, whole);
    EXPECT_TRUE(at::equal(part, whole_gradient.narrow(1, begin, end - begin))) << begin;
  }
  EXPECT_TRUE(at::equal(target, whole[2]));
  EXPECT_LT(relative_error(sum, whole[1]), 1e-6);
}

TEST_P(CrossEntropyRows, AMaskedRowHasNoGradientWhateverItHolds) {
  Rows rows(6, 50, GetParam());
  rows.logits_cv[1][7] = std::numeric_limits<float>::quiet_NaN();
  rows.logits_cv[4].fill_(std::numeric_limits<float>::infinity());
  ASSERT_FALSE(rows.mask_c[1].item<bool>() || rows.mask_c[4].item<bool>());
  const at::Tensor statistics = cross_entropy_statistics(rows.logits_cv, rows.targets_c, 0);
  EXPECT_EQ(loss_of(statistics).isfinite().sum().item<int64_t>(), 4);
  for (const auto make : {cross_entropy_gradient_, cross_entropy_gradient_plain_}) {
    at::Tensor x = rows.logits_cv.clone();
    make(x, rows.targets_c, rows.mask_c, 0, statistics);
    EXPECT_TRUE(at::isfinite(x).all().item<bool>());
    EXPECT_EQ(x[1].abs().sum().item<float>() + x[4].abs().sum().item<float>(), 0.0F);
  }
}

TEST_P(CrossEntropyRows, OneAndTwoThreadsGiveEqualBits) {
  SKIP_UNDER_THREAD_SANITIZER("OpenMP");
  const Rows rows(333, 77, GetParam());
  EXPECT_TRUE(equal_at_one_and_two_threads([&] {
    at::Tensor x = rows.logits_cv.clone();
    const at::Tensor statistics = cross_entropy_statistics(x, rows.targets_c, 0);
    cross_entropy_gradient_(x, rows.targets_c, rows.mask_c, 0, statistics);
    return std::vector<at::Tensor>{statistics, x};
  }));
}

INSTANTIATE_TEST_SUITE_P(Types, CrossEntropyRows, ::testing::Values(at::kFloat, at::kBFloat16),
                         [](const auto& type) {
                           return type.param == at::kFloat ? "fp32" : "bf16";
                         });

}  // namespace
}  // namespace phalanx
