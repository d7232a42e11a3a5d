#pragma once
// `phalanx report RUN... --out FILE`: runs as one page that compares them. Local.
#include <CLI/CLI.hpp>

namespace phalanx {

void add_report_command(CLI::App& app);

}  // namespace phalanx
