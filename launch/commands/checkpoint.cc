#include "launch/commands/checkpoint.h"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>

#include "trainer/checkpoint/checkpoint_folder.h"
#include "trainer/checkpoint/checkpoint_reader.h"

namespace phalanx {
namespace {

using Path = std::filesystem::path;

int64_t bytes_of(const Manifest& manifest) {
  int64_t bytes = 0;
  for (const auto& [name, file] : manifest.files) bytes += file.bytes;
  return bytes;
}

std::string summary(const Path& path) {
  try {
    const CheckpointReader reader(path);
    const Manifest& manifest = reader.manifest();
    return fmt::format("step {}  tokens {}  {:.1f} MB  saved on tp {} x dp {}", manifest.step,
                       manifest.tokens, static_cast<double>(bytes_of(manifest)) / 1e6,
                       manifest.tensor_parallel_size, manifest.data_parallel_size);
  } catch (const std::exception& error) {
    return fmt::format("invalid: {}", error.what());
  }
}

void list(const Path& folder) {
  for (const CheckpointEntry& entry : list_checkpoints(folder)) {
    fmt::print("{}  {}\n", entry.path.filename().string(), summary(entry.path));
  }
}

void verify(const Path& path) {
  CheckpointReader reader(path);
  reader.verify();
  fmt::print("{}: {} files, {} bytes, all hashes as expected\n", path.string(),
             reader.manifest().files.size(), bytes_of(reader.manifest()));
}

void info(const Path& path) {
  const CheckpointReader reader(path);
  const Manifest& manifest = reader.manifest();
  fmt::print(
      "step {}\ntokens {}\ntensor_parallel_size {}\ndata_parallel_size {}\nfiles {}\n"
      "bytes {}\nparameters {}\noptimizer_state {}\n",
      manifest.step, manifest.tokens, manifest.tensor_parallel_size, manifest.data_parallel_size,
      manifest.files.size(), bytes_of(manifest), num_parameters(manifest.model),
      manifest.weights_only ? "no" : "yes");
  for (const auto& [name, tensor] : manifest.tensors) {
    std::string shape;
    for (const int64_t size : tensor.shape) shape += fmt::format(" {}", size);
    if (tensor.source_dtype) shape += fmt::format(" from {}", dtype_name(*tensor.source_dtype));
    fmt::print("tensor {}{}\n", name, shape);
  }
}

void add_action(CLI::App& command, const char* name, const char* text,
                void (*action)(const Path&)) {
  CLI::App* sub = command.add_subcommand(name, text);
  const auto path = std::make_shared<std::string>();
  sub->add_option("path", *path, "Folder")->required();
  sub->callback([path, action] {
    if (!std::filesystem::is_directory(*path)) {
      throw std::invalid_argument(fmt::format("{}: expected a folder, found none", *path));
    }
    action(*path);
  });
}

}  // namespace

void add_checkpoint_command(CLI::App& app) {
  CLI::App* command = app.add_subcommand("checkpoint", "List and check saved checkpoints");
  command->require_subcommand(1);
  command->footer("Example: phalanx checkpoint verify runs/quickstart/checkpoints/step-000100");
  add_action(*command, "list", "All checkpoints of a folder, oldest first", list);
  add_action(*command, "verify", "Hash every block of one checkpoint", verify);
  add_action(*command, "info", "Where one checkpoint stands, and its tensors", info);
}

}  // namespace phalanx
