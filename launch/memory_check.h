#pragma once
// Whether a run's memory is there, said before the first step instead of by the kernel in it.
#include <cstdint>
#include <string>

#include "parallel/session.h"
#include "trainer/planner/mesh_search.h"

namespace phalanx {

/// Why a rank with so many free bytes cannot hold the plan: what is needed, by category, what is
/// there, and what would fit on as many ranks. Empty: it can. Local, pure; `accelerator` decides
/// which of several meshes is named.
std::string memory_refusal(const PlanInput& input, const Accelerator& accelerator,
                           int64_t free_bytes);

/// Compares the plan with what the rank finds that has least: of its GPU's free memory, or of its
/// host's (control groups included, available_host_memory()), either divided by the ranks there.
/// Returns a line that says both. Collective over session.control(): every rank.
/// Errors: AgreedError with memory_refusal() on all ranks; with `refuse` false that text is
/// returned instead.
std::string check_memory(const RunConfig& config, const std::string& config_dir, Session& session,
                         bool refuse);

}  // namespace phalanx
