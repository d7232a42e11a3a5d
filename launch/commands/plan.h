#pragma once
// `phalanx plan`: what a model or a run will need, by counting only. Local, one process; output on
// stdout as `name value` lines and tables, or as JSON. Errors leave as exceptions.
#include <CLI/App.hpp>

namespace phalanx {

void add_plan_command(CLI::App& app);

}  // namespace phalanx
