#pragma once
// `phalanx checkpoint list|verify|info PATH`: what a run has saved, and whether it is whole.
// Local, one process. Results on stdout. Errors: those of trainer/checkpoint, for main to report.
#include <CLI/App.hpp>

namespace phalanx {

void add_checkpoint_command(CLI::App& app);

}  // namespace phalanx
