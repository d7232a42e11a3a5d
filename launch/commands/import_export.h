#pragma once
// `phalanx import HF_FOLDER CHECKPOINT` and `phalanx export CHECKPOINT HF_FOLDER`: between the
// Hugging Face layout and ours. Local, one process. A summary on stdout, progress on stderr.
// Errors: those of trainer/checkpoint, for main to report.
#include <CLI/App.hpp>

namespace phalanx {

void add_import_command(CLI::App& app);
void add_export_command(CLI::App& app);

}  // namespace phalanx
