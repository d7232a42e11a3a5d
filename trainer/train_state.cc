#include "trainer/train_state.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "trainer/checkpoint/strict_json.h"

namespace phalanx {
namespace {

int64_t count(const nlohmann::json& json, const std::string& where) {
  const int64_t value = integer(json, where);
  if (value < 0) refuse_json(where, "a count from 0", json);
  return value;
}

/// JSON has no number that is not finite: null stands for it.
double number(const nlohmann::json& json, const std::string& where) {
  if (json.is_null()) return std::nan("");
  if (!json.is_number()) refuse_json(where, "a number", json);
  return json.get<double>();
}

template <typename Value, typename Read>
std::map<std::string, Value> by_name(const nlohmann::json& json, const std::string& where,
                                     const Read& read) {
  if (!json.is_object()) refuse_json(where, "an object", json);
  std::map<std::string, Value> values;
  for (const auto& [name, value] : json.items()) values[name] = read(value, where + "." + name);
  return values;
}

/// Absent in checkpoints that were written before it was recorded.
std::vector<std::string> past_configs(const nlohmann::json& json) {
  std::vector<std::string> configs;
  if (!json.contains("past_configs")) return configs;
  const nlohmann::json& list = json["past_configs"];
  if (!list.is_array()) refuse_json("state.json: past_configs", "a list", list);
  for (const nlohmann::json& config : list) {
    configs.push_back(text(config, "state.json: past_configs"));
  }
  return configs;
}

std::vector<double> numbers(const nlohmann::json& json, const std::string& where) {
  if (!json.is_array()) refuse_json(where, "a list", json);
  std::vector<double> values;
  for (const nlohmann::json& value : json) values.push_back(number(value, where));
  return values;
}

/// Absent in older checkpoints.
void read_spikes(const nlohmann::json& json, TrainState& state) {
  const std::string file = "state.json";
  if (json.contains("recent_steps")) {
    const nlohmann::json& recent = json["recent_steps"];
    const std::string where = file + ": recent_steps";
    state.recent_steps.losses = numbers(member(recent, "losses", where), where + ".losses");
    state.recent_steps.grad_norms =
        numbers(member(recent, "grad_norms", where), where + ".grad_norms");
  }
  if (json.contains("roll_backs")) {
    state.roll_backs = count(json["roll_backs"], file + ": roll_backs");
  }
}

/// Older checkpoints hold the first step of each stage instead. Where the plan begins with the run,
/// it says where stages begin; where a curriculum was changed on the way, nothing else would.
std::map<std::string, int64_t> stage_first_rows(const nlohmann::json& json, const Cursor& cursor) {
  const char* key = "stage_first_rows";
  const char* file = "state.json";
  if (json.is_object() && json.contains("stage_starts") && !json.contains(key)) {
    if (cursor.segments.size() <= 1) return {};
    throw std::invalid_argument(fmt::format(
        "{}: expected {}, found stage_starts of an older phalanx in a run whose curriculum was "
        "changed on a resume: finish it with that version, or fork a new run from the checkpoint",
        file, key));
  }
  return by_name<int64_t>(member(json, key, file), fmt::format("{}: {}", file, key), count);
}

}  // namespace

nlohmann::json to_json(const TrainState& state) {
  return {{"step", state.step},
          {"tokens", state.tokens},
          {"num_updates", state.num_updates},
          {"attempt", state.attempt},
          {"cursor", cursor_to_json(state.cursor)},
          {"stage_first_rows", state.stage_first_rows},
          {"start_bits_per_byte", state.start_bits_per_byte},
          {"past_configs", state.past_configs},
          {"masked_documents", to_json(state.masked_documents)},
          {"recent_steps",
           {{"losses", state.recent_steps.losses}, {"grad_norms", state.recent_steps.grad_norms}}},
          {"roll_backs", state.roll_backs}};
}

TrainState train_state_from_json(const nlohmann::json& json) {
  const std::string file = "state.json";
  const auto field = [&](const char* key) -> const nlohmann::json& {
    return member(json, key, file);
  };
  const auto count_of = [&](const char* key) { return count(field(key), file + ": " + key); };
  TrainState state;
  state.step = count_of("step");
  state.tokens = count_of("tokens");
  state.num_updates = count_of("num_updates");
  state.attempt = count_of("attempt");
  state.cursor = cursor_from_json(field("cursor"), file + ": cursor");
  state.stage_first_rows = stage_first_rows(json, state.cursor);
  state.start_bits_per_byte =
      by_name<double>(field("start_bits_per_byte"), file + ": start_bits_per_byte", number);
  state.past_configs = past_configs(json);
  if (json.contains("masked_documents")) {  // older checkpoints have none
    state.masked_documents =
        mask_history_from_json(field("masked_documents"), file + ": masked_documents");
  }
  read_spikes(json, state);
  return state;
}

}  // namespace phalanx
