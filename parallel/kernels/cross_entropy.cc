#include "parallel/kernels/cross_entropy.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/record_function.h>

#include <algorithm>
#include <limits>

#include "parallel/kernels/row_math.h"
#include "parallel/kernels/row_types.h"
#include "parallel/kernels/vocab_rows.h"

namespace phalanx {
namespace {

using kernels::exp_polynomial;
using kernels::has_row_kernel;
using kernels::kLanes;
using kernels::sum_in_lanes;
using kernels::with_float_type;

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();
constexpr int64_t kGrainRows = 4;

/// NaN is passed over; it shows in the sum.
template <typename T>
float row_maximum(const T* x, int64_t v) {
  float lane[kLanes];
  for (float& most : lane) most = kMinusInfinity;
  int64_t j = 0;
  for (; j + kLanes <= v; j += kLanes) {
    for (int64_t l = 0; l < kLanes; ++l) {
      const float value = float(x[j + l]);
      lane[l] = value > lane[l] ? value : lane[l];
    }
  }
  for (int64_t l = 0; j + l < v; ++l)
    lane[l] = float(x[j + l]) > lane[l] ? float(x[j + l]) : lane[l];
  float most = lane[0];
  for (const float value : lane) most = value > most ? value : most;
  return most;
}

/// The column that holds the target, or -1.
int64_t column_of(int64_t target, int64_t first, int64_t v) {
  return target >= first && target < first + v ? target - first : -1;
}

template <typename T>
void fill_statistics(const at::Tensor& logits_cv, const at::Tensor& targets_c, int64_t first,
                     const at::Tensor& statistics_3c) {
  const int64_t c = logits_cv.size(0), v = logits_cv.size(1);
  const T* logits = logits_cv.const_data_ptr<T>();
  const int64_t* target = targets_c.const_data_ptr<int64_t>();
  float* maximum = statistics_3c.mutable_data_ptr<float>();
  float *sum = maximum + c, *target_logit = sum + c;
  at::parallel_for(0, c, kGrainRows, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const T* x = logits + i * v;
      const float most = row_maximum(x, v);
      maximum[i] = most;
      sum[i] = sum_in_lanes(v, [=](int64_t j) { return exp_polynomial(float(x[j]) - most); });
      const int64_t column = column_of(target[i], first, v);
      target_logit[i] = column >= 0 ? float(x[column]) : 0.0f;
    }
  });
}

template <typename T>
void fill_gradient(const at::Tensor& logits_cv, const at::Tensor& targets_c,
                   const at::Tensor& mask_c, int64_t first, const at::Tensor& statistics_3c) {
  const int64_t c = logits_cv.size(0), v = logits_cv.size(1);
  T* logits = logits_cv.mutable_data_ptr<T>();
  const int64_t* target = targets_c.const_data_ptr<int64_t>();
  const bool* counts = mask_c.const_data_ptr<bool>();
  const float* maximum = statistics_3c.const_data_ptr<float>();
  const float* sum = maximum + c;
  at::parallel_for(0, c, kGrainRows, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      T* x = logits + i * v;
      if (!counts[i]) {
        std::fill(x, x + v, T(0.0f));
        continue;
      }
      const float most = maximum[i], scale = 1.0f / sum[i];
      const int64_t column = column_of(target[i], first, v);
      const float target_gradient =
          column < 0 ? 0.0f : exp_polynomial(float(x[column]) - most) * scale - 1.0f;
      for (int64_t j = 0; j < v; ++j) x[j] = T(exp_polynomial(float(x[j]) - most) * scale);
      if (column >= 0) x[column] = T(target_gradient);
    }
  });
}

/// Which of this part's columns is the target's, clamped where none is, and where one is.
struct TargetColumn {
  at::Tensor index_c1, inside_c;
};

TargetColumn target_column(const at::Tensor& targets_c, int64_t first, int64_t v) {
  return {(targets_c - first).clamp(0, v - 1).unsqueeze(1),
          at::logical_and(targets_c >= first, targets_c < first + v)};
}

}  // namespace

at::Tensor cross_entropy_statistics(const at::Tensor& logits_cv, const at::Tensor& targets_c,
                                    int64_t first) {
  RECORD_USER_SCOPE("cross-entropy");
  if (!has_row_kernel(logits_cv)) {
    return cross_entropy_statistics_plain(logits_cv, targets_c, first);
  }
  const at::Tensor targets = targets_c.contiguous();
  if (logits_cv.is_cuda()) return cross_entropy_statistics_cuda(logits_cv, targets, first);
  at::Tensor statistics_3c =
      at::empty({3, logits_cv.size(0)}, logits_cv.options().dtype(at::kFloat));
  with_float_type(logits_cv.scalar_type(), [&](auto type) {
    fill_statistics<decltype(type)>(logits_cv, targets, first, statistics_3c);
  });
  return statistics_3c;
}

void cross_entropy_gradient_(const at::Tensor& logits_cv, const at::Tensor& targets_c,
                             const at::Tensor& mask_c, int64_t first,
                             const at::Tensor& statistics_3c) {
  RECORD_USER_SCOPE("cross-entropy");
  if (!has_row_kernel(logits_cv)) {
    return cross_entropy_gradient_plain_(logits_cv, targets_c, mask_c, first, statistics_3c);
  }
  const at::Tensor targets = targets_c.contiguous(), mask = mask_c.contiguous();
  if (logits_cv.is_cuda()) {
    return cross_entropy_gradient_cuda_(logits_cv, targets, mask, first, statistics_3c);
  }
  with_float_type(logits_cv.scalar_type(), [&](auto type) {
    fill_gradient<decltype(type)>(logits_cv, targets, mask, first, statistics_3c);
  });
}

at::Tensor cross_entropy_statistics_plain(const at::Tensor& logits_cv, const at::Tensor& targets_c,
                                          int64_t first) {
  const int64_t c = logits_cv.size(0), v = logits_cv.size(1);
  const at::Tensor x_cv = logits_cv.to(at::kFloat);
  at::Tensor statistics_3c = at::zeros({3, c}, x_cv.options());
  if (v == 0) {
    statistics_3c[0].fill_(kMinusInfinity);
    return statistics_3c;
  }
  const at::Tensor max_c = x_cv.amax(1);
  const TargetColumn target = target_column(targets_c, first, v);
  statistics_3c[0].copy_(max_c);
  statistics_3c[1].copy_((x_cv - max_c.unsqueeze(1)).exp_().sum(1));
  statistics_3c[2].copy_(
      at::where(target.inside_c, x_cv.gather(1, target.index_c1).squeeze(1), 0.0));
  return statistics_3c;
}

void cross_entropy_gradient_plain_(const at::Tensor& logits_cv, const at::Tensor& targets_c,
                                   const at::Tensor& mask_c, int64_t first,
                                   const at::Tensor& statistics_3c) {
  const int64_t v = logits_cv.size(1);
  if (v == 0) return;
  at::Tensor p_cv = (logits_cv.to(at::kFloat) - statistics_3c[0].unsqueeze(1)).exp_();
  p_cv.div_(statistics_3c[1].unsqueeze(1));
  const TargetColumn target = target_column(targets_c, first, v);
  p_cv.scatter_add_(1, target.index_c1, target.inside_c.to(at::kFloat).neg().unsqueeze(1));
  logits_cv.copy_(p_cv.masked_fill_(mask_c.logical_not().unsqueeze(1), 0.0));
}

}  // namespace phalanx
