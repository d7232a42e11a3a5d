#include "trainer/adamw_kernel.h"

#include <ATen/Parallel.h>
#include <c10/util/BFloat16.h>

namespace phalanx {
namespace {

template <typename T>
void update(const AdamWRun& run, const AdamWCoefficients& c) {
  const float* grad = run.grad.const_data_ptr<float>();
  float* master = run.master.mutable_data_ptr<float>();
  float* m = run.exp_avg.mutable_data_ptr<float>();
  float* v = run.exp_avg_sq.mutable_data_ptr<float>();
  T* weight = run.weight.mutable_data_ptr<T>();
  at::parallel_for(0, run.grad.numel(), 16384, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      float p = master[i], mi = m[i], vi = v[i];
      kernels::adamw_element(c, grad[i], p, mi, vi);
      master[i] = p;
      m[i] = mi;
      v[i] = vi;
      weight[i] = T(p);
    }
  });
}

}  // namespace

void adamw_update(const AdamWRun& run, const AdamWCoefficients& coefficients) {
  if (run.grad.is_cuda()) return adamw_update_cuda(run, coefficients);
  run.weight.scalar_type() == at::kFloat ? update<float>(run, coefficients)
                                         : update<c10::BFloat16>(run, coefficients);
}

}  // namespace phalanx
