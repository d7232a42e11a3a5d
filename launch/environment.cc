#include "launch/environment.h"

#include <cstdlib>

namespace phalanx {

std::optional<std::string> environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value ? std::optional<std::string>(value) : std::nullopt;
}

}  // namespace phalanx
