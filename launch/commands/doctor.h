#pragma once
// `phalanx doctor`: are these machines fit for a run?
#include <CLI/CLI.hpp>

namespace phalanx {

void add_doctor_command(CLI::App& app);

}  // namespace phalanx
