// The CUDA kernels of a cut vocabulary against ATen's operations on the same GPU. Skipped, and
// counted as skipped, without a GPU.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "parallel/kernels/vocab_rows.h"
#include "tests/model/random_tensor.h"
#include "tests/support/test_device.h"

namespace phalanx {
namespace {

class VocabRows : public OnTestDevice {};

TEST_F(VocabRows, StatisticsAndGradientOfAPartAreThoseOfTheSoftmax) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    for (const int64_t v : {103, 512, 25088}) {
      const int64_t c = 19, first = 7;
      const at::Tensor x = (random_tensor({c, v}, 1) * 4).to(test_device(), type);
      const at::Tensor targets = (at::arange(c, at::kLong) * 11 % (v + first)).to(test_device());
      const at::Tensor found = cross_entropy_statistics_cuda(x, targets, first);
      const at::Tensor wide = x.to(at::kDouble), max = wide.amax(1);
      const at::Tensor sum = (wide - max.unsqueeze(1)).exp().sum(1);
      EXPECT_TRUE(at::equal(found[0].to(at::kDouble), max)) << v;
      EXPECT_LT(relative_error(found[1], sum), 3e-6) << v;
      const at::Tensor column = targets - first;
      const at::Tensor inside = at::logical_and(column >= 0, column < v);
      const at::Tensor clamped = column.clamp(0, v - 1).unsqueeze(1);
      EXPECT_TRUE(at::equal(found[2].to(at::kDouble), wide.gather(1, clamped).squeeze(1) * inside))
          << v;
      const at::Tensor mask = (at::arange(c, at::kLong) % 3 != 0).to(test_device());
      at::Tensor expected = at::softmax(wide, 1);
      expected.scatter_add_(1, clamped, -inside.to(at::kDouble).unsqueeze(1));
      expected.mul_(mask.unsqueeze(1));
      cross_entropy_gradient_cuda_(x, targets, mask, first, found);
      EXPECT_LT((x.to(at::kDouble) - expected).abs().max().item<double>(),
                type == at::kFloat ? 2e-6 : 4e-3)
          << v;
    }
  }
}

TEST_F(VocabRows, APartWithoutRowsHasEmptyStatistics) {
  const at::Tensor x = at::empty({3, 0}, at::TensorOptions(at::kFloat).device(test_device()));
  const at::Tensor targets = at::zeros({3}, at::TensorOptions(at::kLong).device(test_device()));
  const at::Tensor found = cross_entropy_statistics_cuda(x, targets, 100).cpu();
  EXPECT_TRUE(at::equal(found[0], at::full({3}, -INFINITY)));
  EXPECT_EQ(found.narrow(0, 1, 2).abs().sum().item<float>(), 0.0F);
}

TEST_F(VocabRows, RowsOfAnEmbeddingAddUpInOrderOfTheTokens) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    for (const int64_t d : {5, 64, 5120}) {
      const int64_t n = 700, rows = 40;
      const at::Tensor index = at::arange(n, at::kLong) * at::arange(n, at::kLong) % 53 - 4;
      const at::Tensor value = random_tensor({n, d}, 1).to(type);
      at::Tensor expected = random_tensor({rows, d}, 2);
      const at::Tensor found = expected.to(test_device(), /*non_blocking=*/false, /*copy=*/true);
      for (int64_t i = 0; i < n; ++i) {
        const int64_t row = index[i].item<int64_t>();
        if (row >= 0 && row < rows) expected[row] += value[i].to(at::kFloat);
      }
      add_rows_cuda_(found, index.to(test_device()), value.to(test_device()));
      EXPECT_TRUE(at::equal(found.cpu(), expected)) << d;
    }
  }
}

}  // namespace
}  // namespace phalanx
