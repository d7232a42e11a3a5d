#pragma once
// Where the program's own files lie, seen from the running executable. Local.
#include <string>

namespace phalanx {

/// The folder of the presets: `<executable>/../share/phalanx/configs` of an installed tree, else
/// the `configs` of the source tree the program was built from. Throws std::system_error when
/// neither is there.
std::string find_config_dir();

}  // namespace phalanx
