#pragma once
// The second half of packing: one shard, with its sidecars, from the sorted runs.
//
// Local. Several may be written at once from the same runs, each by its own thread. Memory:
// `buffer_bytes` for each run, the longest document, four bytes for each of the shard's documents,
// and some MiB for what is written. Errors: std::system_error (machine); std::invalid_argument for
// runs that are not what the plan was made from.
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <vector>

#include "data/shards/dataset_manifest.h"
#include "data/shards/shard_plan.h"
#include "data/shards/token_type.h"

namespace phalanx {

/// Writes shard number `shard` of the plan into `folder`, whole or not under its final names, with
/// bins for each of `bin_lengths`.
/// `report` gets the number of tokens of each document as it is written.
[[nodiscard]] ShardEntry write_shard(const ShardPlan& plan, size_t shard,
                                     std::span<const RunFile> runs, int64_t buffer_bytes,
                                     const std::vector<int64_t>& bin_lengths,
                                     const std::filesystem::path& folder,
                                     const std::function<void(int64_t)>& report);

}  // namespace phalanx
