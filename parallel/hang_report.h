#pragma once
// What is to be said of ranks that make no progress: which rank the others wait for, in which
// collective, and what each did last. Pure: from snapshots to text.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "parallel/flight_peers.h"

namespace phalanx {

/// The first collective of a group in which its ranks did not do the same.
struct Mismatch {
  FlightGroup group;
  int64_t number = 0;
  std::vector<int> ranks;     // that did otherwise; all of the group when it cannot be told who
  CollectiveRecord expected;  // what the others did
  CollectiveRecord found;     // what the first of `ranks` did
  bool skipped = false;       // it left out `expected` and went on as the others did
};
std::optional<Mismatch> first_mismatch(const std::vector<RankState>& ranks);

/// Ranks that others wait for and that wait in no collective themselves, or that nobody has heard
/// of. Without any such rank: those of the first mismatch.
std::vector<int> missing_ranks(const std::vector<RankState>& ranks);

/// What a rank does: "training, step 8: waits in all_reduce #402 of dp (1.2 MB) for 60.1 s".
std::string state_text(const RankState& rank);

/// Of a rank's group, which a snapshot taken while it was made may not have yet.
std::string group_name(const RankState& rank, int group);

/// The whole message: one line that says what is wrong, then one for each rank or for ranks that
/// do the same. `speaker` has waited for `waited_seconds`.
std::string hang_report(int speaker, double waited_seconds, const std::vector<RankState>& ranks);

}  // namespace phalanx
