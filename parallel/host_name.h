#pragma once
// What this machine calls itself. Local.
#include <string>

namespace phalanx {

std::string host_name();

}  // namespace phalanx
