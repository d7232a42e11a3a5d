#include "model/kernels/rms_norm.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/record_function.h>

#include <algorithm>

#include "model/kernels/row_kernels_cuda.h"
#include "parallel/kernels/row_math.h"
#include "parallel/kernels/row_types.h"

namespace phalanx {
namespace {

using kernels::has_row_kernel;
using kernels::sum_in_lanes;
using kernels::with_float_type;

/// h = x + delta (delta null: x itself, and h is not written), y = norm(h).
template <typename T>
float forward_row(const T* x, const T* delta, const T* weight, T* h, T* y, int64_t d, float eps) {
  if (delta != nullptr) {
    for (int64_t i = 0; i < d; ++i) h[i] = T(float(x[i]) + float(delta[i]));
    x = h;
  }
  const float mean_square =
      sum_in_lanes(d, [x](int64_t i) { return float(x[i]) * float(x[i]); }) / float(d);
  const float rstd = 1.0f / std::sqrt(mean_square + eps);
  for (int64_t i = 0; i < d; ++i) y[i] = T(float(weight[i]) * float(T(float(x[i]) * rstd)));
  return rstd;
}

template <typename T>
void backward_row(const T* dy, const T* x, const T* weight, float rstd, const T* dresidual, T* dx,
                  float* dweight, int64_t d) {
  const float dot =
      sum_in_lanes(
          d, [=](int64_t i) { return float(dy[i]) * float(weight[i]) * (float(x[i]) * rstd); }) /
      float(d);
  for (int64_t i = 0; i < d; ++i) {
    const float xhat = float(x[i]) * rstd;
    dx[i] = T(rstd * (float(dy[i]) * float(weight[i]) - xhat * dot));
    dweight[i] += float(dy[i]) * xhat;
  }
  if (dresidual == nullptr) return;
  for (int64_t i = 0; i < d; ++i) dx[i] = T(float(dx[i]) + float(dresidual[i]));
}

template <typename T>
const T* row_of(const at::Tensor& x_ND, int64_t row) {
  return x_ND.defined() ? x_ND.const_data_ptr<T>() + row * x_ND.size(1) : nullptr;
}

template <typename T>
AddRmsNormOutput forward(const at::Tensor& x_ND, const at::Tensor& delta_ND,
                         const at::Tensor& weight_D, double eps) {
  const int64_t n = x_ND.size(0), d = x_ND.size(1);
  AddRmsNormOutput out{delta_ND.defined() ? at::empty_like(x_ND) : at::Tensor(),
                       at::empty_like(x_ND), at::empty({n}, x_ND.options().dtype(at::kFloat))};
  const T* weight = weight_D.const_data_ptr<T>();
  T* h = out.h_ND.defined() ? out.h_ND.mutable_data_ptr<T>() : nullptr;
  T* y = out.y_ND.mutable_data_ptr<T>();
  float* rstd = out.rstd_N.mutable_data_ptr<float>();
  at::parallel_for(0, n, 16, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      rstd[i] = forward_row(row_of<T>(x_ND, i), row_of<T>(delta_ND, i), weight,
                            h ? h + i * d : nullptr, y + i * d, d, float(eps));
    }
  });
  return out;
}

AddRmsNormOutput forward_of_type(const at::Tensor& x_ND, const at::Tensor& delta_ND,
                                 const at::Tensor& weight_D, double eps) {
  return with_float_type(x_ND.scalar_type(), [&](auto type) {
    return forward<decltype(type)>(x_ND, delta_ND, weight_D, eps);
  });
}

/// Tokens whose weight gradients are summed one after another; the blocks are then summed in order,
/// so the result does not depend on the number of threads.
constexpr int64_t kBlockTokens = 64;

template <typename T>
RmsNormGradients backward(const at::Tensor& dy_ND, const at::Tensor& x_ND,
                          const at::Tensor& weight_D, const at::Tensor& rstd_N,
                          const at::Tensor& dresidual_ND) {
  const int64_t n = x_ND.size(0), d = x_ND.size(1);
  const int64_t num_blocks = (n + kBlockTokens - 1) / kBlockTokens;
  at::Tensor dx_ND = at::empty_like(x_ND);
  at::Tensor partial_bD = at::zeros({num_blocks, d}, x_ND.options().dtype(at::kFloat));
  const T* weight = weight_D.const_data_ptr<T>();
  const float* rstd = rstd_N.const_data_ptr<float>();
  T* dx = dx_ND.mutable_data_ptr<T>();
  float* partial = partial_bD.mutable_data_ptr<float>();
  at::parallel_for(0, num_blocks, 1, [&](int64_t first, int64_t last) {
    for (int64_t i = first * kBlockTokens; i < std::min(last * kBlockTokens, n); ++i) {
      backward_row(row_of<T>(dy_ND, i), row_of<T>(x_ND, i), weight, rstd[i],
                   row_of<T>(dresidual_ND, i), dx + i * d, partial + i / kBlockTokens * d, d);
    }
  });
  at::Tensor dweight_D = at::zeros({d}, partial_bD.options());
  for (int64_t b = 0; b < num_blocks; ++b) dweight_D.add_(partial_bD[b]);
  return {dx_ND, dweight_D};
}

}  // namespace

RmsNormOutput rms_norm(const at::Tensor& x_ND, const at::Tensor& weight_D, double eps) {
  RECORD_USER_SCOPE("norm");
  if (!has_row_kernel(x_ND)) return rms_norm_plain(x_ND, weight_D, eps);
  if (x_ND.is_cuda()) return rms_norm_cuda(x_ND, weight_D, eps);
  const AddRmsNormOutput out = forward_of_type(x_ND, {}, weight_D, eps);
  return {out.y_ND, out.rstd_N};
}

RmsNormGradients rms_norm_backward(const at::Tensor& dy_ND, const at::Tensor& x_ND,
                                   const at::Tensor& weight_D, const at::Tensor& rstd_N,
                                   const at::Tensor& dresidual_ND) {
  RECORD_USER_SCOPE("norm");
  if (!has_row_kernel(x_ND)) {
    return rms_norm_backward_plain(dy_ND, x_ND, weight_D, rstd_N, dresidual_ND);
  }
  if (x_ND.is_cuda()) return rms_norm_backward_cuda(dy_ND, x_ND, weight_D, rstd_N, dresidual_ND);
  const at::Tensor dy = dy_ND.contiguous();
  const at::Tensor dresidual = dresidual_ND.defined() ? dresidual_ND.contiguous() : at::Tensor();
  return with_float_type(x_ND.scalar_type(), [&](auto type) {
    return backward<decltype(type)>(dy, x_ND, weight_D, rstd_N, dresidual);
  });
}

AddRmsNormOutput add_rms_norm(const at::Tensor& x_ND, const at::Tensor& delta_ND,
                              const at::Tensor& weight_D, double eps) {
  RECORD_USER_SCOPE("norm");
  if (!has_row_kernel(x_ND)) return add_rms_norm_plain(x_ND, delta_ND, weight_D, eps);
  if (x_ND.is_cuda()) return add_rms_norm_cuda(x_ND, delta_ND, weight_D, eps);
  return forward_of_type(x_ND, delta_ND.contiguous(), weight_D, eps);
}

AddRmsNormOutput add_rms_norm_plain(const at::Tensor& x_ND, const at::Tensor& delta_ND,
                                    const at::Tensor& weight_D, double eps) {
  const at::Tensor h_ND = x_ND + delta_ND;
  const RmsNormOutput out = rms_norm_plain(h_ND, weight_D, eps);
  return {h_ND, out.y_ND, out.rstd_N};
}

RmsNormOutput rms_norm_plain(const at::Tensor& x_ND, const at::Tensor& weight_D, double eps) {
  const at::Tensor x = x_ND.to(at::kFloat);
  const at::Tensor rstd_N1 = (x * x).mean(1, /*keepdim=*/true).add(eps).rsqrt();
  return {weight_D * (x * rstd_N1).to(x_ND.scalar_type()), rstd_N1.squeeze(1)};
}

RmsNormGradients rms_norm_backward_plain(const at::Tensor& dy_ND, const at::Tensor& x_ND,
                                         const at::Tensor& weight_D, const at::Tensor& rstd_N,
                                         const at::Tensor& dresidual_ND) {
  const at::Tensor rstd_N1 = rstd_N.unsqueeze(1);
  const at::Tensor dy = dy_ND.to(at::kFloat);
  const at::Tensor xhat_ND = x_ND.to(at::kFloat) * rstd_N1;
  const at::Tensor g_ND = dy * weight_D.to(at::kFloat);
  const at::Tensor dot_N1 = (g_ND * xhat_ND).mean(1, /*keepdim=*/true);
  at::Tensor dx_ND = (rstd_N1 * (g_ND - xhat_ND * dot_N1)).to(x_ND.scalar_type());
  if (dresidual_ND.defined()) dx_ND.add_(dresidual_ND);
  return {dx_ND, (dy * xhat_ND).sum(0)};
}

}  // namespace phalanx
