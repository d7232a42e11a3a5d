#pragma once
// `phalanx train`. Collective over all ranks of the launch. Ends with the code of the table in
// ARCHITECTURE.md; one rank prints.
#include <CLI/App.hpp>

namespace phalanx {

void add_train_command(CLI::App& app);

}  // namespace phalanx
