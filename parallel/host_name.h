#pragma once
// What this machine calls itself. Local.
#include <string>

namespace phalanx {

/// Or what there is of it: 255 characters at most.
std::string host_name();

}  // namespace phalanx
