#include "launch/commands/checkpoint.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <cstdio>
#include <ctime>
#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "configs/read_config.h"
#include "data/json_writer.h"
#include "launch/install_paths.h"
#include "trainer/checkpoint/checkpoint_folder.h"
#include "trainer/checkpoint/checkpoint_reader.h"
#include "trainer/checkpoint/manifest_model.h"

namespace phalanx {
namespace {

using Path = std::filesystem::path;
using Json = nlohmann::ordered_json;

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

/// What a folder is that holds no manifest.json, as far as its files tell.
std::string kind_of(const Path& path) {
  const auto has = [&](const char* name) { return std::filesystem::exists(path / name); };
  if (has("model.safetensors") || has("model.safetensors.index.json")) {
    return "a Hugging Face folder, which has no hashes to compare (phalanx import makes a "
           "checkpoint of it)";
  }
  if (has("checkpoints")) return "the folder of a run: see phalanx checkpoint list";
  if (!list_checkpoints(path).empty()) return "a folder of checkpoints: name one of them";
  if (path.extension() == ".tmp") return "a save that was not finished, without manifest.json";
  return "a folder without manifest.json";
}

CheckpointReader open_checkpoint(const Path& path) {
  if (std::filesystem::exists(path / "manifest.json")) return CheckpointReader(path);
  throw std::invalid_argument(
      fmt::format("{}: expected a checkpoint, found {}", path.string(), kind_of(path)));
}

/// `path` may be a run's folder, or its folder of checkpoints, which may be empty.
void list(const Path& path) {
  const bool is_run = std::filesystem::is_directory(path / "checkpoints");
  const Path folder = is_run ? path / "checkpoints" : path;
  const std::vector<CheckpointEntry> entries = list_checkpoints(folder);
  const bool of_a_run =
      is_run || std::filesystem::exists(std::filesystem::absolute(path) / ".." / "metrics.jsonl");
  if (entries.empty() && !of_a_run) {
    const bool one = std::filesystem::exists(path / "manifest.json");
    throw std::invalid_argument(fmt::format(
        "{}: expected a run's folder or its folder of checkpoints, found {}", path.string(),
        one ? "one checkpoint: see phalanx checkpoint info" : kind_of(path)));
  }
  for (const CheckpointEntry& entry : entries) {
    fmt::print("{}  {}\n", entry.path.filename().string(), summary(entry.path));
  }
  if (entries.empty()) std::fputs("no checkpoint yet\n", stderr);
}

void verify(const Path& path) {
  CheckpointReader reader = open_checkpoint(path);
  reader.verify();
  fmt::print("{}: {} files, {} bytes, all hashes as expected\n", path.string(),
             reader.manifest().files.size(), bytes_of(reader.manifest()));
}

/// As configured; null where this version cannot read the configuration that it was saved with.
Json run_of(CheckpointReader& reader) {
  try {
    ConfigRequest request;
    request.file = reader.path().string() + "/config.yaml";
    request.config_dir = find_config_dir();
    const RunConfig run = read_run_config_text(reader.config_yaml(), request).run;
    return (Path(run.dir) / run.name).string();
  } catch (const std::exception&) {
    return nullptr;
  }
}

Json info_json(CheckpointReader& reader) {
  const Manifest& manifest = reader.manifest();
  Json json{{"step", manifest.step},
            {"tokens", manifest.tokens},
            {"tensor_parallel_size", manifest.tensor_parallel_size},
            {"data_parallel_size", manifest.data_parallel_size},
            {"files", manifest.files.size()},
            {"bytes", bytes_of(manifest)},
            {"parameters", num_parameters(manifest.model)},
            {"optimizer_state", manifest.weights_only ? "no" : "yes"}};
  json["masters"] = dtype_name(reader.stored_dtype(kShareKinds[0]));
  json["moments"] = nullptr;
  json["saved"] = nullptr;
  json["run"] = nullptr;
  if (manifest.saved_at) {
    json["saved"] = fmt::format("{:%Y-%m-%dT%H:%M:%SZ}",
                                fmt::gmtime(static_cast<std::time_t>(*manifest.saved_at)));
  }
  if (!manifest.weights_only) {
    json["moments"] = dtype_name(reader.stored_dtype(kShareKinds[1]));
    json["run"] = run_of(reader);
  }
  JsonWriter model;
  write_model(model, manifest.model);
  json["model"] = Json::parse(model.text());
  for (const auto& [name, tensor] : manifest.tensors) {
    json["tensors"][name]["shape"] = tensor.shape;
    if (tensor.source_dtype) json["tensors"][name]["from"] = dtype_name(*tensor.source_dtype);
  }
  return json;
}

std::string value_text(const Json& value) {
  if (value.is_null()) return "unknown";
  return value.is_string() ? value.get<std::string>() : value.dump();
}

void print_info(const Path& path, bool as_json) {
  CheckpointReader reader = open_checkpoint(path);
  const Json json = info_json(reader);
  if (as_json) return fmt::print("{}\n", json.dump());
  for (const auto& [key, value] : json.items()) {
    if (key != "model" && key != "tensors") fmt::print("{} {}\n", key, value_text(value));
  }
  for (const auto& [key, value] : json["model"].items()) {
    fmt::print("model.{} {}\n", key, value_text(value));
  }
  for (const auto& [name, tensor] : reader.manifest().tensors) {
    std::string shape;
    for (const int64_t size : tensor.shape) shape += fmt::format(" {}", size);
    if (tensor.source_dtype) shape += fmt::format(" from {}", dtype_name(*tensor.source_dtype));
    fmt::print("tensor {}{}\n", name, shape);
  }
}

CLI::App* add_action(CLI::App& command, const char* name, const char* text,
                     const std::function<void(const Path&)>& action) {
  CLI::App* sub = command.add_subcommand(name, text);
  const auto path = std::make_shared<std::string>();
  sub->add_option("path", *path, "Folder")->required();
  sub->callback([path, action] {
    if (!std::filesystem::is_directory(*path)) {
      throw std::invalid_argument(fmt::format("{}: expected a folder, found none", *path));
    }
    action(*path);
  });
  return sub;
}

}  // namespace

void add_checkpoint_command(CLI::App& app) {
  CLI::App* command = app.add_subcommand("checkpoint", "List and check saved checkpoints");
  command->require_subcommand(1);
  command->footer(
      "Examples:\n"
      "  phalanx checkpoint list runs/quickstart\n"
      "  phalanx checkpoint verify runs/quickstart/checkpoints/step-000100\n"
      "  phalanx checkpoint info runs/quickstart/checkpoints/step-000100 --json");
  add_action(*command, "list", "All checkpoints of a run or a folder, oldest first", list);
  add_action(*command, "verify", "Hash every block of one checkpoint", verify);
  const auto as_json = std::make_shared<bool>(false);
  CLI::App* info =
      add_action(*command, "info", "Where one checkpoint stands, how it is kept, and its tensors",
                 [as_json](const Path& path) { print_info(path, *as_json); });
  info->add_flag("--json", *as_json, "One JSON object, for scripts");
}

}  // namespace phalanx
