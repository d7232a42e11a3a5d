#pragma once
// Whether the cache of data.store has room for what a run reads from stores at once, and the
// process for as many open files.
// Local, pure. Errors: std::invalid_argument with data.store.cache_bytes or the limit of open
// files, what is needed, by which sources, and what there is.
#include <cstdint>
#include <memory>

#include "data/mixture/mixture_plan.h"
#include "trainer/run_config.h"
#include "trainer/run_data.h"

namespace phalanx {

/// What a host gives a rank.
struct HostRoom {
  int64_t num_ranks = 1;               // on it
  int64_t max_open_files = INT64_MAX;  // of this process, which holds each file open
};

/// Counts for each source the largest shards that may have to be held at once: of the groups of
/// `shuffle_window` that the next steps read, the shards that their last rows end in, and those
/// fetched ahead; of all ranks of a host, which may be some steps apart and so in two stages. A
/// held-out part is read before the first step, by each rank a shard at a time.
void check_cache_room(const RunConfig& config, const RunData& data,
                      const std::shared_ptr<const MixturePlan>& plan, const HostRoom& host);

}  // namespace phalanx
