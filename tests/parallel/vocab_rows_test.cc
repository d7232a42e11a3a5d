// The arithmetic of the CUDA kernels of a cut vocabulary, thread by thread on the CPU: statistics
// of parts come together to those of the whole, gradients are the definition's, and rows of an
// embedding add up in order.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "parallel/kernels/cross_entropy_row.h"
#include "parallel/kernels/embedding_row.h"
#include "tests/model/random_tensor.h"
#include "tests/support/row_block.h"

namespace phalanx {
namespace {

using kernels::RowThread;
using kernels::SoftmaxSum;

/// As a block and then the parts of the vocabulary bring their statistics together.
SoftmaxSum joined(const std::vector<SoftmaxSum>& parts) {
  SoftmaxSum total;
  for (const SoftmaxSum& part : parts) total.max = std::max(total.max, part.max);
  for (const SoftmaxSum& part : parts) total.sum += kernels::sum_relative_to(part, total.max);
  return total;
}

template <int W, typename T>
SoftmaxSum scanned(const T* logits, int64_t v, int threads) {
  std::vector<SoftmaxSum> parts;
  for_each_thread(threads,
                  [&](RowThread t) { parts.push_back(kernels::scan_logits<W>(t, logits, v)); });
  return joined(parts);
}

TEST(CrossEntropyRow, StatisticsOfThreadsAndPartsAreThoseOfTheWholeRow) {
  for_types_and_widths([]<typename T, int W>() {
    const int64_t v = 96;
    for (const double offset : {0.0, 80.0, -300.0}) {
      const at::Tensor x = as_type<T>(random_tensor({v}, 1) * 5 + offset);
      const T* logits = x.template const_data_ptr<T>();
      const at::Tensor wide = x.to(at::kDouble);
      const double max = wide.max().item<double>();
      const double sum = (wide - max).exp().sum().item<double>();
      for (const int threads : {1, 5, 32}) {
        // The last part is empty, as it is where the vocabulary does not divide.
        const SoftmaxSum found =
            joined({scanned<W>(logits, 32, threads), scanned<W>(logits + 32, 64, threads),
                    scanned<W>(logits + v, 0, threads)});
        EXPECT_EQ(found.max, float(max)) << offset;
        EXPECT_NEAR(found.sum / sum, 1, 2e-6) << offset;
      }
    }
  });
}

TEST(CrossEntropyRow, GradientIsSoftmaxMinusOneHotWhereTheTokenCounts) {
  for_types_and_widths([]<typename T, int W>() {
    const int64_t v = 64, first = 16;
    const at::Tensor whole = as_type<T>(random_tensor({v}, 1) * 3);
    const SoftmaxSum total = scanned<W>(whole.template const_data_ptr<T>(), v, 4);
    for (const int64_t target : {3, 20, 63}) {
      for (const bool counts : {true, false}) {
        at::Tensor expected = at::softmax(whole.to(at::kDouble), 0);
        expected[target] -= 1;
        const at::Tensor part = whole.narrow(0, first, v - first).clone();
        const kernels::CrossEntropyRow row{total.max, 1 / total.sum, counts, target - first};
        for_each_thread(3, [&](RowThread t) {
          kernels::write_logit_gradient<W>(t, row, part.template mutable_data_ptr<T>(), v - first);
        });
        const at::Tensor truth = expected.narrow(0, first, v - first) * counts;
        EXPECT_LT((part.to(at::kDouble) - truth).abs().max().template item<double>(),
                  rounding_of<T>())
            << target;
      }
    }
  });
}

TEST(CrossEntropyRow, NotANumberAndInfinityReachTheSum) {
  for (const float bad : {std::nanf(""), INFINITY}) {
    at::Tensor x = at::zeros({8});
    x[5] = bad;
    const SoftmaxSum found = scanned<4>(x.const_data_ptr<float>(), 8, 2);
    EXPECT_FALSE(std::isfinite(std::log(found.sum) + found.max)) << bad;
  }
}

TEST(CrossEntropyRow, MinusInfinityInAllThatOneThreadHasReadCountsNothing) {
  for_types_and_widths([]<typename T, int W>() {
    const int64_t v = 6 * W;
    at::Tensor x = at::zeros({v}).to(c10::CppTypeToScalarType<T>::value);
    x.narrow(0, 0, W).fill_(-INFINITY);  // the first access of thread 0, finite ones follow
    x.narrow(0, W, W).fill_(-INFINITY);  // all that thread 1 of 3 has
    x.narrow(0, 4 * W, W).fill_(-INFINITY);
    for (const int threads : {1, 3}) {
      const SoftmaxSum found = scanned<W>(x.template const_data_ptr<T>(), v, threads);
      EXPECT_EQ(found.max, 0.0F);
      EXPECT_EQ(found.sum, float(3 * W)) << threads << " threads";
    }
  });
}

TEST(EmbeddingRow, RunsOfEqualRowsAddUpInOrderAndOtherPartsRowsAreLeftOut) {
  for_types_and_widths([]<typename T, int W>() {
    const int64_t d = 16, num_rows = 6;
    const at::Tensor index = at::tensor({3, -2, 5, 3, 6, 0, 3, 9, 5}, at::kLong);
    const at::Tensor value = as_type<T>(random_tensor({index.numel(), d}, 1) * 100);
    const at::Tensor before = random_tensor({num_rows, d}, 2);
    at::Tensor expected = before.clone(), found = before.clone();
    for (int64_t i = 0; i < index.numel(); ++i) {
      const int64_t row = index[i].item<int64_t>();
      if (row >= 0 && row < num_rows) expected[row] += value[i].to(at::kFloat);
    }
    const auto [sorted, source] = at::sort(index, /*stable=*/true, 0, false);
    const kernels::SortedRows<T> rows{sorted.const_data_ptr<int64_t>(),
                                      source.const_data_ptr<int64_t>(),
                                      index.numel(),
                                      value.template const_data_ptr<T>(),
                                      found.mutable_data_ptr<float>(),
                                      num_rows,
                                      d,
                                      d};
    for (int64_t position = 0; position < rows.count; ++position) {
      for (int64_t column = 0; column < d; column += W) {
        kernels::add_run<W>(rows, position, column);
      }
    }
    EXPECT_TRUE(at::equal(found, expected));
  });
}

}  // namespace
}  // namespace phalanx
