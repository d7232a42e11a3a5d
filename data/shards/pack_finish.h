#pragma once
// The end of packing: the manifests of the parts and the list of what was rejected.
// Local. Errors: std::system_error.
#include "data/shards/pack_plan.h"
#include "data/shards/pack_work.h"

namespace phalanx {

inline constexpr std::string_view kRejectedName = "rejected.jsonl";

/// Writes dataset.json and inputs.txt of each part, and rejected.jsonl if a line was bad. All units
/// and shards are done.
void write_manifests(const PackPlan& plan, const PackWork& work);

}  // namespace phalanx
