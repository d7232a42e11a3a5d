#pragma once
// A place in a sorted run, found with few reads. The keys are hashes and so lie evenly: where a key
// must be is reckoned from the keys at the ends, and a window around it read at once. Local.
#include <cstdint>
#include <functional>
#include <span>

#include "data/shards/pack_run.h"

namespace phalanx {

/// Fills `entries` with those of the run from number `first` on.
using ReadEntries = std::function<void(int64_t first, std::span<RunEntry> entries)>;

/// The number of a run's entries before `order`. Some 3 reads of 7 KiB where keys lie evenly; two
/// for each halving of the run where they do not.
[[nodiscard]] int64_t count_before(const OrderKey& order, int64_t num_entries,
                                   const ReadEntries& read);

}  // namespace phalanx
