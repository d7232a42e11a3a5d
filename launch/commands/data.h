#pragma once
// `phalanx data ...`: one file a subcommand. Errors leave as exceptions; main turns them into a
// message and an exit code.
#include <CLI/App.hpp>

namespace phalanx {

void add_data_command(CLI::App& app);

void add_data_pack_command(CLI::App& data);
void add_data_inspect_command(CLI::App& data);
void add_data_batch_command(CLI::App& data);
void add_data_mix_command(CLI::App& data);
void add_data_convert_command(CLI::App& data);
void add_data_bins_command(CLI::App& data);

}  // namespace phalanx
