#pragma once
// Which mesh trains fastest of those that fit: every tensor-parallel size that divides ranks and
// query heads and stays inside a node, every micro-batch that divides a replica's rows, every mode
// of recomputation. Pure arithmetic, local, deterministic.
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "trainer/planner/run_plan.h"

namespace phalanx {

struct MeshCandidate {
  PlanInput input;  // mesh, recompute and micro-batches chosen
  MemoryPlan memory;
  double tokens_per_second = 0;  // over the spans, by their tokens
  double mfu = 0;
};

/// A tensor-parallel size of which nothing fits, or that cannot be.
struct RefusedMesh {
  int64_t tensor_parallel_size = 1;
  std::string reason;
};

struct MeshSearch {
  std::vector<MeshCandidate> fitting;  // best first; for each size and mode the best micro-batch
  std::vector<RefusedMesh> refused;    // by size
  int64_t num_tried = 0;
  int64_t least_bytes = 0;  // of a rank, of all that were tried
};

struct SearchLimits {
  int64_t memory_bytes = 0;                                  // of a rank, for total()
  int64_t host_bytes = std::numeric_limits<int64_t>::max();  // of a rank, for MemoryPlan::host

  bool hold(const MemoryPlan& plan) const {
    return plan.total() <= memory_bytes && plan.host <= host_bytes;
  }
};

MeshSearch search_meshes(const PlanInput& input, const Accelerator& accelerator,
                         const SearchLimits& limits);

/// The overrides that choose a candidate: `parallel.tensor_parallel_size=2 recompute=full ...`;
/// micro-batches by the stages of the run in their order.
std::string overrides_text(const PlanInput& input);

/// The 95 % of the accelerator's memory that a plan may fill; the rest goes to what allocators
/// round up and to what a plan does not count.
int64_t usable_memory(const Accelerator& accelerator);

}  // namespace phalanx
