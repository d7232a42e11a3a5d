#pragma once
// The JSON Schema (draft-07) of a run's configuration, for editors: what the reader's declarations
// say of names, types, bounds and meanings. Rules that look at more than one field, and the files
// that a configuration names, stay `phalanx config`'s to check. Local, pure.
#include <string>

namespace phalanx {

/// Indented, with a line end.
[[nodiscard]] std::string run_json_schema();

}  // namespace phalanx
