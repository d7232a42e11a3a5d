#include "trainer/step_agreement.h"

#include <ATen/ops/tensor.h>

#include <cmath>

namespace phalanx {
namespace {

constexpr double kMicroseconds = 1e6;

}  // namespace

StepFlags agree_on_step(const StepFlags& mine, Communicator& control) {
  const at::Tensor most = at::tensor(
      {int64_t{mine.failed}, int64_t{mine.no_batch}, int64_t{mine.stop}, int64_t{mine.save},
       int64_t{mine.compare}, int64_t{mine.saving}, int64_t{mine.save_failed},
       int64_t{std::llround(mine.data_wait_seconds * kMicroseconds)}, mine.peak_memory_bytes},
      at::kLong);
  control.all_reduce(most, ReduceOp::kMax)->wait();
  const int64_t* of_all = most.const_data_ptr<int64_t>();
  return {of_all[0] != 0, of_all[1] != 0, of_all[2] != 0, of_all[3] != 0,
          of_all[4] != 0, of_all[5] != 0, of_all[6] != 0, double(of_all[7]) / kMicroseconds,
          of_all[8]};
}

}  // namespace phalanx
