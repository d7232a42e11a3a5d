#pragma once
// What a run must remember between two steps beside tensors. Resume builds objects from it.
// Plain values; saved as state.json in a checkpoint (trainer/CHECKPOINT.md).
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "data/mixture/ledger.h"
#include "trainer/mask_history.h"
#include "trainer/spike_window.h"

namespace phalanx {

struct TrainState {
  int64_t step = 0;         // steps done
  int64_t tokens = 0;       // targets consumed, padding included
  int64_t num_updates = 0;  // optimizer updates done (a skipped step has none)
  int64_t attempt = 0;      // starts of this run, from 0
  Cursor cursor;            // of the data
  std::map<std::string, int64_t> stage_first_rows;    // of the run, of each stage begun
  std::map<std::string, double> start_bits_per_byte;  // of each source, before the first step
  /// Resolved configurations of the ledger's segments but the last, whose one lies beside this
  /// state: what past steps read stays known. Empty: not recorded.
  std::vector<std::string> past_configs;
  MaskHistory masked_documents;
  RecentSteps recent_steps;  // that spikes are told from
  int64_t roll_backs = 0;    // that spikes have caused so far
};

nlohmann::json to_json(const TrainState& state);
/// Throws std::invalid_argument naming the missing or ill-typed field.
TrainState train_state_from_json(const nlohmann::json& json);

}  // namespace phalanx
