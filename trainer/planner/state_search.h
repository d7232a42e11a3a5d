#pragma once
// Which ways of keeping gradients, masters and moments let a run fit, each with its best mesh. Pure
// arithmetic, local.
#include <optional>
#include <string>
#include <vector>

#include "trainer/planner/mesh_search.h"

namespace phalanx {

struct StateChoice {
  std::string overrides;  // fields of the configuration: `gradients=bf16 optimizer.state=bf16`
  StateBytes state;
};

/// From all in fp32 to what takes least; in host memory only for a GPU. A bf16 master is the weight
/// itself and takes nothing. Where `now` offloads, the others say that nothing is.
std::vector<StateChoice> state_choices(const StateBytes& now, DeviceKind device);

struct StateResult {
  StateChoice choice;
  std::optional<MeshCandidate> best;  // nullopt: no mesh fits
  int64_t least_bytes = 0;            // of a rank, on the mesh that needs least
};

std::vector<StateResult> search_states(const PlanInput& input, const Accelerator& accelerator,
                                       const SearchLimits& limits);

}  // namespace phalanx
