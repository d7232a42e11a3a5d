#include "launch/commands/data.h"

#include <CLI/CLI.hpp>

namespace phalanx {

void add_data_command(CLI::App& app) {
  CLI::App* data =
      app.add_subcommand("data", "Pack text into shards; look at them, and at what a run reads");
  data->require_subcommand(1);
  add_data_pack_command(*data);
  add_data_inspect_command(*data);
  add_data_mix_command(*data);
  add_data_batch_command(*data);
  add_data_convert_command(*data);
  add_data_bins_command(*data);
}

}  // namespace phalanx
