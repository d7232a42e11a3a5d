#pragma once
// The model in a checkpoint's manifest: its fields as JSON, and what must be equal where one model
// is loaded into another.
//
// Local; plain values. Errors: std::invalid_argument beginning with `where`
// or the place of the fields.
#include <string>

#include "model/phi4_config.h"

namespace phalanx {

class JsonFields;
class JsonWriter;

/// An object, its keys in alphabetical order.
void write_model(JsonWriter& json, const Phi4Config& model);
[[nodiscard]] Phi4Config parse_model(const JsonFields& fields);

/// Throws naming every `model.<field>` that differs, with what the run's configuration and what
/// `place` (a checkpoint or a Hugging Face folder) has. The first weights' spread may.
void check_same_model(const Phi4Config& configured, const Phi4Config& found,
                      const std::string& place, const std::string& where);

}  // namespace phalanx
