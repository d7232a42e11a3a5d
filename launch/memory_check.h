#pragma once
// Whether a run's memory is there, said before the first step instead of by the kernel in it.
#include <cstdint>
#include <string>

#include "parallel/session.h"
#include "trainer/planner/state_search.h"

namespace phalanx {

/// Why a rank with `free` memory, where it computes and on the host beside a GPU, cannot hold the
/// plan: what is needed, by category, what is there, and what would fit on as many ranks: another
/// mesh, or else the first way to keep gradients and optimizer (search_states()) with which one
/// does. Empty: it can. Local, pure; `accelerator` decides which of several meshes is named.
std::string memory_refusal(const PlanInput& input, const Accelerator& accelerator,
                           const SearchLimits& free);

/// Compares the plan with what the rank finds that has least: of its GPU's free memory, and of its
/// host's (control groups included, available_host_memory()), each divided by the ranks there. A
/// GPU need only hold the tensors: most of what the runtime takes is no longer free when this is
/// asked. `num_ranks` are those of the plan, the session's unless it is a dry run for more. Returns
/// a line that says both. Collective over session.control(): every rank. Errors:
/// AgreedError with memory_refusal() on all ranks; with `refuse` false that text is returned
/// instead, and a machine without the GPU is none: a dry run may be for another one.
std::string check_memory(const RunConfig& config, const std::string& config_dir, int64_t num_ranks,
                         Session& session, bool refuse);

}  // namespace phalanx
