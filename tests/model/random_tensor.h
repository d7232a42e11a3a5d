#pragma once
// Random inputs and measures of closeness for the tests of kernels and layers. Local; values are a
// pure function of the seed.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <functional>
#include <vector>

#include "model/kernels/normal_fill.h"
#include "tests/support/thread_sanitizer.h"

namespace phalanx {

/// Standard normal values, fp32.
inline at::Tensor random_tensor(const std::vector<int64_t>& shape, uint64_t seed) {
  at::Tensor values = at::empty(shape, at::TensorOptions(at::kFloat));
  const at::Tensor row = values.view({1, -1});
  normal_fill_(row, {0, 0, row.size(1)}, seed, 1.0F);
  return values;
}

/// |found - expected| / |expected| over all elements, in double.
inline double relative_error(const at::Tensor& found, const at::Tensor& expected) {
  const at::Tensor truth = expected.to(at::kDouble);
  const double scale = truth.norm().item<double>();
  const double error = (found.to(at::kDouble) - truth).norm().item<double>();
  return scale > 0 ? error / scale : error;
}

/// Gradient of f at x (double) by central differences, one element after another.
inline at::Tensor numeric_gradient(const std::function<double(const at::Tensor&)>& f,
                                   const at::Tensor& x) {
  constexpr double kStep = 1e-5;
  at::Tensor point = x.to(at::kDouble).clone();
  at::Tensor gradient = at::empty_like(point);
  double* p = point.data_ptr<double>();
  for (int64_t i = 0; i < point.numel(); ++i) {
    const double value = p[i];
    p[i] = value + kStep;
    const double above = f(point);
    p[i] = value - kStep;
    const double below = f(point);
    p[i] = value;
    gradient.data_ptr<double>()[i] = (above - below) / (2 * kStep);
  }
  return gradient;
}

/// The same function at one and at two threads must give equal bits.
inline bool equal_at_one_and_two_threads(const std::function<std::vector<at::Tensor>()>& run) {
  const int before = at::get_num_threads();
  at::set_num_threads(1);
  const std::vector<at::Tensor> one = run();
  at::set_num_threads(2);
  const std::vector<at::Tensor> two = run();
  at::set_num_threads(before);
  bool equal = one.size() == two.size();
  for (size_t i = 0; equal && i < one.size(); ++i) equal = at::equal(one[i], two[i]);
  return equal;
}

}  // namespace phalanx
