#pragma once
// What ranks that hang leave in RUN/hangs: rank-N.txt for people (what it did last, and where its
// threads stand) and rank-N.json for the one that puts them together. Local; any rank writes only
// its own. Errors: std::system_error, std::invalid_argument naming the file.
#include <filesystem>
#include <string>
#include <vector>

#include "parallel/flight_peers.h"

namespace phalanx {

struct HangNote {
  std::string job;  // of the start of the run that it belongs to
  int rank = 0;     // that wrote it
  double silent_seconds = 0.0;
  std::vector<RankState> ranks;  // what it could see: the ranks of its host
};

/// The state of `rank` in words, with its last collectives.
std::string history_text(const RankState& rank);

void write_hang_note(const std::filesystem::path& folder, const HangNote& note,
                     const std::string& stacks);
/// Those of a job, by rank; of any job if it is empty. Files that do not read are left out: their
/// writer may be at it.
std::vector<HangNote> read_hang_notes(const std::filesystem::path& folder, const std::string& job);

/// One state for each rank that the notes know, those that a rank wrote of itself first.
std::vector<RankState> states_of(const std::vector<HangNote>& notes);

}  // namespace phalanx
