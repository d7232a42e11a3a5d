#include "trainer/train_state.h"

#include <nlohmann/json.hpp>
#include <stdexcept>

namespace phalanx {

nlohmann::json to_json(const TrainState& state) {
  return {{"step", state.step},
          {"tokens", state.tokens},
          {"num_updates", state.num_updates},
          {"attempt", state.attempt},
          {"cursor", cursor_to_json(state.cursor)},
          {"stage_starts", state.stage_starts},
          {"start_bits_per_byte", state.start_bits_per_byte}};
}

TrainState train_state_from_json(const nlohmann::json& json) {
  TrainState state;
  try {
    json.at("step").get_to(state.step);
    json.at("tokens").get_to(state.tokens);
    json.at("num_updates").get_to(state.num_updates);
    json.at("attempt").get_to(state.attempt);
    json.at("stage_starts").get_to(state.stage_starts);
    json.at("start_bits_per_byte").get_to(state.start_bits_per_byte);
    state.cursor = cursor_from_json(json.at("cursor"), "state.json: cursor");
  } catch (const nlohmann::json::exception& error) {
    throw std::invalid_argument(std::string("state.json: ") + error.what());
  }
  return state;
}

}  // namespace phalanx
