#include "model/kernels/rope.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/record_function.h>

#include <cmath>
#include <vector>

#include "model/kernels/row_kernels_cuda.h"
#include "parallel/kernels/row_types.h"

namespace phalanx {
namespace {

template <typename T>
void rotate_row(T* x, int64_t num_heads, int64_t head_dim, const float* cos, const float* sin,
                int64_t half, float sign) {
  for (int64_t head = 0; head < num_heads; ++head) {
    T* x1 = x + head * head_dim;
    T* x2 = x1 + half;
    for (int64_t i = 0; i < half; ++i) {
      const float a = float(x1[i]), b = float(x2[i]), s = sign * sin[i];
      x1[i] = T(a * cos[i] - b * s);
      x2[i] = T(b * cos[i] + a * s);
    }
  }
}

template <typename T>
void rotate(const at::Tensor& x_NF, int64_t num_heads, const RopeTable& table,
            const at::Tensor& positions_N, float sign) {
  const int64_t half = table.cos_TH.size(1), row_length = x_NF.size(1);
  T* x = x_NF.mutable_data_ptr<T>();
  const int64_t* position = positions_N.const_data_ptr<int64_t>();
  const float* cos = table.cos_TH.const_data_ptr<float>();
  const float* sin = table.sin_TH.const_data_ptr<float>();
  at::parallel_for(0, x_NF.size(0), 16, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      const int64_t angle = position[n] * half;
      rotate_row(x + n * row_length, num_heads, table.head_dim, cos + angle, sin + angle, half,
                 sign);
    }
  });
}

/// Of rotary_dim channels; no factors: none.
void fill_table(double theta, int64_t rotary_dim, const std::vector<double>& factors,
                int64_t num_positions, at::Device device, RopeTable& table) {
  const auto fp32 = at::TensorOptions(device).dtype(at::kFloat);
  const at::Tensor exponent_H = at::arange(0, rotary_dim, 2, fp32) / double(rotary_dim);
  at::Tensor wavelength_H = at::pow(theta, exponent_H);
  if (!factors.empty()) {
    wavelength_H = at::tensor(factors, at::TensorOptions(at::kFloat)).to(device) * wavelength_H;
  }
  const at::Tensor inverse_frequency_H = 1.0 / wavelength_H;
  const at::Tensor angle_TH = at::outer(at::arange(num_positions, fp32), inverse_frequency_H);
  table.cos_TH = angle_TH.cos();
  table.sin_TH = angle_TH.sin();
}

}  // namespace

double rope_attention_factor(const Phi4Config& model) {
  if (model.rope_scaling != RopeScaling::kLongRope) return 1.0;
  const auto original = static_cast<double>(model.original_max_position_embeddings);
  const double factor = static_cast<double>(model.max_position_embeddings) / original;
  return factor <= 1.0 ? 1.0 : std::sqrt(1.0 + std::log(factor) / std::log(original));
}

RopeTable::RopeTable(double theta, int64_t dim, int64_t num_positions, at::Device device)
    : head_dim(dim) {
  fill_table(theta, dim, {}, num_positions, device, *this);
}

RopeTable::RopeTable(double theta, const Phi4Config& model, int64_t sequence_length,
                     at::Device device)
    : head_dim(model.head_dim) {
  const bool is_long = sequence_length > model.original_max_position_embeddings;
  fill_table(theta, model.rotary_dim(), is_long ? model.rope_long_factor : model.rope_short_factor,
             sequence_length, device, *this);
  const double scale = rope_attention_factor(model);
  if (scale == 1.0) return;
  cos_TH.mul_(scale);
  sin_TH.mul_(scale);
}

void rope_(const at::Tensor& x_NF, int64_t num_heads, const RopeTable& table,
           const at::Tensor& positions_N, Rotation rotation) {
  RECORD_USER_SCOPE("rope");
  const float sign = rotation == Rotation::kForward ? 1.0f : -1.0f;
  if (!kernels::has_row_kernel(x_NF)) {
    return rope_plain_(x_NF, num_heads, table, positions_N, rotation);
  }
  if (x_NF.is_cuda()) return rope_cuda_(x_NF, num_heads, table, positions_N, sign);
  kernels::with_float_type(x_NF.scalar_type(), [&](auto type) {
    rotate<decltype(type)>(x_NF, num_heads, table, positions_N, sign);
  });
}

void rope_plain_(const at::Tensor& x_NF, int64_t num_heads, const RopeTable& table,
                 const at::Tensor& positions_N, Rotation rotation) {
  const double sign = rotation == Rotation::kForward ? 1.0 : -1.0;
  const int64_t half = table.cos_TH.size(1), n = x_NF.size(0);
  const at::Tensor heads_Nh2H =
      x_NF.narrow(1, 0, num_heads * table.head_dim).view({n, num_heads, -1});
  const at::Tensor x1 = heads_Nh2H.narrow(2, 0, half).to(at::kFloat, false, /*copy=*/true);
  const at::Tensor x2 = heads_Nh2H.narrow(2, half, half).to(at::kFloat, false, /*copy=*/true);
  const at::Tensor cos_N1H = table.cos_TH.index_select(0, positions_N).unsqueeze(1);
  const at::Tensor sin_N1H = table.sin_TH.index_select(0, positions_N).unsqueeze(1) * sign;
  heads_Nh2H.narrow(2, 0, half).copy_(x1 * cos_N1H - x2 * sin_N1H);
  heads_Nh2H.narrow(2, half, half).copy_(x2 * cos_N1H + x1 * sin_N1H);
}

}  // namespace phalanx
