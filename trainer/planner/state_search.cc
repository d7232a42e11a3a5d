#include "trainer/planner/state_search.h"

namespace phalanx {
namespace {

struct Row {
  const char* overrides;
  int64_t gradient, master, moment;
  bool offload;
};
constexpr Row kRows[] = {
    {"gradients=fp32 optimizer.state=fp32 optimizer.master=fp32", 4, 4, 4, false},
    {"gradients=fp32 optimizer.state=bf16 optimizer.master=fp32", 4, 4, 2, false},
    {"gradients=bf16 optimizer.state=bf16 optimizer.master=fp32", 2, 4, 2, false},
    {"gradients=fp32 optimizer.state=bf16 optimizer.master=bf16", 4, 0, 2, false},
    {"gradients=bf16 optimizer.state=bf16 optimizer.master=bf16", 2, 0, 2, false},
    {"gradients=fp32 optimizer.offload=host", 4, 4, 4, true},
    {"gradients=bf16 optimizer.offload=host", 2, 4, 4, true},
};

}  // namespace

std::vector<StateChoice> state_choices(const StateBytes& now, DeviceKind device) {
  std::vector<StateChoice> choices;
  for (const Row& row : kRows) {
    const bool needs_bf16_weights = row.master == 0;
    if (needs_bf16_weights && now.weight != 2) continue;
    if (row.offload && device == DeviceKind::kCpu) continue;
    StateChoice& choice = choices.emplace_back();
    choice.overrides = row.overrides;
    if (now.offload && !row.offload) choice.overrides += " optimizer.offload=none";
    choice.state = {now.weight, row.gradient, row.master, row.moment, row.offload};
  }
  return choices;
}

std::vector<StateResult> search_states(const PlanInput& input, const Accelerator& accelerator,
                                       const SearchLimits& limits) {
  std::vector<StateResult> results;
  PlanInput kept = input;
  for (const StateChoice& choice : state_choices(input.state, accelerator.device)) {
    kept.state = choice.state;
    MeshSearch search = search_meshes(kept, accelerator, limits);
    StateResult result{choice, std::nullopt, search.least_bytes};
    if (!search.fitting.empty()) result.best = std::move(search.fitting.front());
    results.push_back(std::move(result));
  }
  return results;
}

}  // namespace phalanx
