#pragma once
// The AdamW update of one run of elements, in one pass over memory: gradient scaling, moments,
// decay, master, the master rounded into the compute weight, and the gradient set to zero for the
// next step. What is kept in bf16 is computed in fp32 and rounded stochastically, keyed by the
// logical element. Local; CUDA on the current stream, the same bits as on CPU.
// Source: arXiv 1711.05101, in the order of operations of torch.optim.AdamW.
#include <ATen/core/Tensor.h>

#include <limits>
#include <type_traits>

#include "parallel/kernels/stochastic_round.h"

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

/// Where the elements of a run lie in the logical tensor: the run begins at element `first` of a
/// slice that is `width` elements out of each `stride`, from `start` on.
struct LogicalPlaces {
  int64_t first = 0;
  int64_t stride = 0;
  int64_t start = 0;
  int64_t width = std::numeric_limits<int64_t>::max();
};

namespace kernels {

PHALANX_HOST_DEVICE inline int64_t logical_element(const LogicalPlaces& places, int64_t i) {
  const int64_t at = places.first + i;
  return at / places.width * places.stride + places.start + at % places.width;
}

PHALANX_HOST_DEVICE inline float adamw_square_root(float x) {
#ifdef __CUDA_ARCH__
  return __fsqrt_rn(x);
#else
  return __builtin_sqrtf(x);
#endif
}

/// Updates master, m and v in place; g is the unscaled gradient.
PHALANX_HOST_DEVICE inline void adamw_element(const AdamWCoefficients& c, float g, float& master,
                                              float& m, float& v) {
  const float scaled = g * c.grad_scale;
  m = c.beta1 * m + c.gain1 * scaled;
  v = c.beta2 * v + c.gain2 * scaled * scaled;
  const float denominator = adamw_square_root(v) * c.inverse_sqrt_bias2 + c.epsilon;
  master = master * c.decay_factor - c.step_size * (m / denominator);
}

/// A bf16 master is the weight itself; `weight` is not touched then.
template <typename Grad, typename Master, typename State, typename Weight>
struct AdamWPointers {
  static constexpr bool kRounds = !std::is_same_v<Master, float> || !std::is_same_v<State, float>;
  Grad* grad;
  Master* master;
  State* exp_avg;
  State* exp_avg_sq;
  Weight* weight;
};

/// Element i of a run. `random`: 16 bits for each value that is rounded.
template <typename Grad, typename Master, typename State, typename Weight>
PHALANX_HOST_DEVICE inline void adamw_at(const AdamWPointers<Grad, Master, State, Weight>& run,
                                         const AdamWCoefficients& c, int64_t i, uint64_t random) {
  float p = run.master[i], m = run.exp_avg[i], v = run.exp_avg_sq[i];
  adamw_element(c, run.grad[i], p, m, v);
  store_rounded(m, random, run.exp_avg[i]);
  store_rounded(v, random >> 16, run.exp_avg_sq[i]);
  store_rounded(p, random >> 32, run.master[i]);
  if constexpr (std::is_same_v<Master, float>) run.weight[i] = static_cast<Weight>(p);
  run.grad[i] = Grad(0.0f);
}

}  // namespace kernels

/// Flat views of equal length, each fp32 or bf16, both moments alike; weight in the compute dtype.
/// A bf16 master is the weight.
struct AdamWRun {
  at::Tensor grad, master, exp_avg, exp_avg_sq, weight;
  LogicalPlaces places = {};
  uint64_t rounding_key = 0;  // of the tensor and the step
};

void adamw_update(const AdamWRun& run, const AdamWCoefficients& coefficients);
/// The CUDA twin; throws std::invalid_argument in a build without CUDA.
void adamw_update_cuda(const AdamWRun& run, const AdamWCoefficients& coefficients);

}  // namespace phalanx
