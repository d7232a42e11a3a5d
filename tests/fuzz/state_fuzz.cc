// state.json of a checkpoint: what is accepted counts from 0 and reads back to the same text.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "data/strict_json.h"
#include "tests/fuzz/fuzz.h"
#include "trainer/train_state.h"

namespace phalanx::fuzz {
namespace {

constexpr const char* kName = "state.json";

TrainState read(std::string_view text) {
  return train_state_from_json(parse_strict_json(text, kName));
}

void check_masks(const MaskHistory& history) {
  int64_t least = 0;
  for (const MaskEntry& entry : history) {
    require(entry.first_step >= least, "lists of documents follow each other");
    require(find_entry(history, entry.first_step) == &entry, "an entry is found by its step");
    least = entry.first_step;
  }
}

void check(std::string_view input) {
  const auto state = accepted(kName, [&] { return read(input); });
  if (!state) return;
  require(state->step >= 0 && state->tokens >= 0 && state->num_updates >= 0 &&
              state->attempt >= 0 && state->roll_backs >= 0,
          "counts are counts");
  require(!state->cursor.segments.empty() && state->cursor.row >= 0, "a cursor is somewhere");
  for (const auto& [stage, row] : state->stage_first_rows) {
    require(row >= 0, "a stage begins at a row");
  }
  check_masks(state->masked_documents);
  const std::string text = to_json(*state).dump();
  const TrainState again = read(text);
  require(to_json(again).dump() == text, "what is written reads back");
  require(again.cursor == state->cursor, "and goes on at the same place");
}

}  // namespace
}  // namespace phalanx::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  phalanx::fuzz::check(phalanx::fuzz::text_of(data, size));
  return 0;
}
