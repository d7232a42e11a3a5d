#pragma once
// The model in a checkpoint's manifest: its fields as JSON, and what must be equal where one model
// is loaded into another.
//
// Local; plain values. Errors: std::invalid_argument beginning with `where`.
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "model/phi4_config.h"

namespace phalanx {

[[nodiscard]] nlohmann::json model_json(const Phi4Config& model);
[[nodiscard]] Phi4Config parse_model_json(const nlohmann::json& fields, const std::string& where);

/// Throws naming `model.<field>`, expected and found; the second only of what fixes how positions
/// are told apart and seen.
void check_same_model(const Phi4Config& expected, const Phi4Config& found,
                      const std::string& where);
void check_same_positions(const Phi4Config& expected, const Phi4Config& found,
                          const std::string& where);

}  // namespace phalanx
