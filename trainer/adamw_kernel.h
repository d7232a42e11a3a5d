#pragma once
// The AdamW update of one run of elements, in one pass over memory: gradient scaling, moments,
// decay, master, and the master rounded into the compute weight. Local; CUDA on the current stream.
// Source: arXiv 1711.05101, in the order of operations of torch.optim.AdamW.
#include <ATen/core/Tensor.h>

#ifdef __CUDACC__
#define PHALANX_ADAMW_CALL __host__ __device__
#else
#define PHALANX_ADAMW_CALL
#endif

namespace phalanx {

struct AdamWCoefficients {
  float grad_scale;
  float beta1, beta2;
  float gain1, gain2;        // 1 - beta, subtracted in double: 1 - 0.999f is 5e-5 off
  float decay_factor;        // 1 - learning_rate * weight_decay
  float step_size;           // learning_rate / (1 - beta1^n)
  float inverse_sqrt_bias2;  // 1 / sqrt(1 - beta2^n)
  float epsilon;
};

namespace kernels {

PHALANX_ADAMW_CALL inline float adamw_square_root(float x) {
#ifdef __CUDA_ARCH__
  return __fsqrt_rn(x);
#else
  return __builtin_sqrtf(x);
#endif
}

/// Updates master, m and v in place; g is the unscaled gradient.
PHALANX_ADAMW_CALL inline void adamw_element(const AdamWCoefficients& c, float g, float& master,
                                             float& m, float& v) {
  const float scaled = g * c.grad_scale;
  m = c.beta1 * m + c.gain1 * scaled;
  v = c.beta2 * v + c.gain2 * scaled * scaled;
  const float denominator = adamw_square_root(v) * c.inverse_sqrt_bias2 + c.epsilon;
  master = master * c.decay_factor - c.step_size * (m / denominator);
}

}  // namespace kernels

/// Flat views of equal length: fp32 grad, master and moments; weight in the compute dtype.
struct AdamWRun {
  at::Tensor grad, master, exp_avg, exp_avg_sq, weight;
};

void adamw_update(const AdamWRun& run, const AdamWCoefficients& coefficients);
/// The CUDA twin; throws std::invalid_argument in a build without CUDA.
void adamw_update_cuda(const AdamWRun& run, const AdamWCoefficients& coefficients);

}  // namespace phalanx
