#pragma once
// Whether the cache of data.store has room for what a run reads from stores at once.
// Local, pure. Errors: std::invalid_argument with data.store.cache_bytes, what is needed, by which
// sources, and what there is.
#include "data/mixture/mixture_plan.h"
#include "trainer/run_config.h"
#include "trainer/run_data.h"

namespace phalanx {

/// Counts for each source the largest shards that may have to be held at once: of the groups of
/// `shuffle_window` that the next steps read, the shards that their last rows end in, and those
/// fetched ahead. A held-out part is read before the first step, a shard at a time.
void check_cache_room(const RunConfig& config, const RunData& data,
                      const std::shared_ptr<const MixturePlan>& plan);

}  // namespace phalanx
