#pragma once
// Do all ranks start the same run? A host with another build, another copy of the configuration or
// other data would compute something else, or leave the others waiting in a collective.
//
// check_same_start() and check_own_gpus() are collective over the control communicator; the rest is
// pure.
// Errors: AgreedError, one message that names hosts and ranks, what differs with both values, and
// what helps.
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "parallel/session.h"
#include "trainer/run_config.h"
#include "trainer/run_data.h"

namespace phalanx {

/// What one rank brings, as hashes.
struct StartMarks {
  std::string host;
  std::string program;  // of the executable's file; empty: of a rank that shares its host's
  std::string config;   // of all fields
  std::vector<std::string> data;  // "tokenizer=HASH", "data.sources.web=HASH", ...
};

StartMarks start_marks(const RunConfig& config, const RunData& data, bool hashes_program);

/// What differs from rank 0, a line each; empty: nothing. `config_lines` are what
/// first_difference() says on each rank; none: left out.
std::string start_differences(const std::vector<StartMarks>& ranks,
                              const std::vector<std::string>& config_lines);

/// Of texts with a line `path: value` for each field: "'data.seed: 2' where rank 0 has 'data.seed:
/// 1'"; empty: equal.
std::string first_difference(const std::string& fields, const std::string& fields_of_rank_0);

void check_same_start(const RunConfig& config, const RunData& data, Session& session);

/// A rank's GPU, and the host it is in.
struct RankGpu {
  std::string host;
  std::string bus_id;  // of the PCI bus; empty: none
};

/// Ranks that were given one GPU together; empty: none.
std::string shared_gpus(const std::vector<RankGpu>& ranks);

/// `own_gpu` is the bus id of this rank's GPU; "" for a rank that was told to share one, which
/// takes part all the same: a variable tells it so, and may be set on some hosts only.
void check_own_gpus(Communicator& control, const std::function<std::string()>& own_gpu);

}  // namespace phalanx
