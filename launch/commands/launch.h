#pragma once
// `phalanx launch`: a training on the machines of a cluster, by the launcher that it has.
#include <CLI/CLI.hpp>

namespace phalanx {

void add_launch_command(CLI::App& app);

}  // namespace phalanx
