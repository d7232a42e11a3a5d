#pragma once
// From the types of a run's tensors to the instance of the update that was compiled for them.
// Local.
#include <c10/util/BFloat16.h>

#include "parallel/kernels/row_types.h"
#include "trainer/adamw_kernel.h"

namespace phalanx::kernels {

/// Calls body with the AdamWPointers of the run.
template <typename Body>
void with_adamw_pointers(const AdamWRun& run, const Body& body) {
  with_float_type(run.grad.scalar_type(), [&](auto g) {
    with_float_type(run.exp_avg.scalar_type(), [&](auto s) {
      using Grad = decltype(g);
      using State = decltype(s);
      const auto call = [&](auto p, auto w) {
        using Master = decltype(p);
        using Weight = decltype(w);
        body(AdamWPointers<Grad, Master, State, Weight>{
            run.grad.mutable_data_ptr<Grad>(), run.master.mutable_data_ptr<Master>(),
            run.exp_avg.mutable_data_ptr<State>(), run.exp_avg_sq.mutable_data_ptr<State>(),
            run.weight.mutable_data_ptr<Weight>()});
      };
      if (run.master.scalar_type() == at::kBFloat16) return call(c10::BFloat16(), c10::BFloat16());
      with_float_type(run.weight.scalar_type(), [&](auto w) { call(float(), w); });
    });
  });
}

}  // namespace phalanx::kernels
