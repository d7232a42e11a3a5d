#pragma once
// The variables that launchers and people set. Only this folder reads them.
#include <optional>
#include <string>

namespace phalanx {

/// Nothing where it is not set.
std::optional<std::string> environment(const std::string& name);

}  // namespace phalanx
