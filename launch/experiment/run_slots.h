#pragma once
// Places of a machine for runs side by side: cores and GPUs that no two of them share. Pure; local.
#include <string>
#include <vector>

namespace phalanx {

struct RunSlot {
  std::vector<int> cores;
  std::string gpus;  // as in CUDA_VISIBLE_DEVICES; empty: nothing is said of GPUs
};

struct SlotRequest {
  int64_t parallel = 1;
  int64_t cores_per_run = 0;  // 0: an equal part of the cores
  int64_t gpus_per_run = 0;
};

/// `cores`: those that there are, in order. `visible_gpus`: CUDA_VISIBLE_DEVICES; empty: GPUs from
/// 0 on. Throws std::invalid_argument if there are fewer than it takes.
[[nodiscard]] std::vector<RunSlot> make_slots(const SlotRequest& request,
                                              const std::vector<int>& cores,
                                              const std::string& visible_gpus);

}  // namespace phalanx
