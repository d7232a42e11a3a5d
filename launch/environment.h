#pragma once
// The process's environment as the libraries are given it: they never read it themselves. Local.
#include <cstdlib>
#include <optional>
#include <string>

namespace phalanx {

inline std::optional<std::string> environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value ? std::optional<std::string>(value) : std::nullopt;
}

}  // namespace phalanx
