#include "launch/commands/import_export.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <map>
#include <memory>
#include <string>

#include "configs/units.h"
#include "launch/commands/progress_line.h"
#include "launch/counted.h"
#include "launch/model_place.h"
#include "trainer/checkpoint/hf_export.h"
#include "trainer/checkpoint/hf_import.h"
#include "trainer/checkpoint/place_text.h"

namespace phalanx {
namespace {

struct ImportArguments {
  std::string folder, checkpoint;
};

struct ExportArguments {
  std::string checkpoint, folder, dtype, tokenizer;
  std::string max_shard_size = "5GB";
};

double gigabytes(int64_t bytes) { return static_cast<double>(bytes) / 1e9; }

/// Shows how far it is, at what rate and how long it will take.
ByteProgress shown_progress(const char* what) {
  const auto line = std::make_shared<ProgressLine>();
  const auto start = std::chrono::steady_clock::now();
  return [what, line, start](int64_t done, int64_t total) {
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - start;
    const double rate = static_cast<double>(done) / spent.count();
    line->show(fmt::format("{} {:.1f} of {:.1f} GB, {:.2f} GB/s, {:.0f} s left", what,
                           gigabytes(done), gigabytes(total), rate / 1e9,
                           static_cast<double>(total - done) / rate));
    if (done == total) line->finish();
  };
}

/// A path that ends in a slash names the same folder, and its staging folder stands beside it.
std::filesystem::path target_path(const std::string& text) {
  const std::filesystem::path path = std::filesystem::path(text).lexically_normal();
  return path.has_filename() ? path : path.parent_path();
}

void run_import(const ImportArguments& arguments) {
  const std::filesystem::path checkpoint = target_path(arguments.checkpoint);
  HfImport options;
  options.progress = shown_progress("imported");
  import_hf(arguments.folder, checkpoint, options);
  const CheckpointReader reader(checkpoint);
  fmt::print("{}: {} parameters in {} tensors, fp32 masters without optimizer state\n",
             checkpoint.string(), num_parameters(reader.manifest().model),
             reader.manifest().tensors.size());
  const HfConfig config = open_model(checkpoint).config;
  fmt::print("\nA run starts from it with\n\n{}", model_section(config, checkpoint.string()));
}

void run_export(const ExportArguments& arguments) {
  require_checkpoint(arguments.checkpoint, arguments.checkpoint);
  ModelPlace place = open_model(arguments.checkpoint);
  HfExport options;
  options.files = files_for_export(place, arguments.tokenizer);
  options.config = place.config;
  options.max_file_bytes = parse_bytes(arguments.max_shard_size);
  options.progress = shown_progress("exported");
  if (arguments.dtype.empty()) {
    options.dtypes = source_dtypes(place.checkpoint->manifest());
  } else {
    const std::map<std::string, Dtype> dtypes{
        {"fp32", Dtype::kF32}, {"bf16", Dtype::kBF16}, {"fp16", Dtype::kF16}};
    options.dtype = dtypes.at(arguments.dtype);
    options.config.dtype.clear();
  }
  const std::filesystem::path folder = target_path(arguments.folder);
  const HfExported exported = export_hf(*place.source, folder, options);
  fmt::print("{}: {} tensors, {} bytes in {}\n", folder.string(), exported.tensors, exported.bytes,
             counted(exported.files, "file"));
}

CLI::Validator byte_size() {
  const auto check = [](const std::string& text) {
    try {
      const int64_t bytes = parse_bytes(text);
      return bytes > 0 ? std::string() : "expected more than 0 bytes, got " + text;
    } catch (const std::invalid_argument& error) {
      return std::string(error.what());
    }
  };
  return CLI::Validator(check, "SIZE");
}

}  // namespace

void add_import_command(CLI::App& app) {
  auto arguments = std::make_shared<ImportArguments>();
  CLI::App* command = app.add_subcommand(
      "import", "Make a checkpoint of a Hugging Face folder (phi-4, phi-4-mini, phi-3 models)");
  command->footer(
      "Examples:\n"
      "  phalanx import downloads/phi-4 checkpoints/phi-4\n"
      "  phalanx train run.yaml model.init_from=checkpoints/phi-4\n"
      "The checkpoint holds fp32 masters without optimizer state, and the tokenizer's files. It "
      "loads\n"
      "at any tensor and data parallel size.");
  command
      ->add_option("folder", arguments->folder,
                   "With config.json and model.safetensors, or several files with their index")
      ->required();
  command->add_option("checkpoint", arguments->checkpoint, "Folder to make")->required();
  command->callback([arguments] { run_import(*arguments); });
}

void add_export_command(CLI::App& app) {
  auto arguments = std::make_shared<ExportArguments>();
  CLI::App* command =
      app.add_subcommand("export", "Make a Hugging Face folder of a checkpoint, for transformers");
  command->footer(
      "Examples:\n"
      "  phalanx export runs/first/checkpoints/step-004000 exported/first\n"
      "  phalanx export checkpoints/phi-4 exported/phi-4 --max-shard-size 2GB");
  command->add_option("checkpoint", arguments->checkpoint, "Of a run, or imported")->required();
  command->add_option("folder", arguments->folder, "Folder to make")->required();
  command
      ->add_option("--dtype", arguments->dtype,
                   "fp32, bf16 or fp16; else what each tensor was imported from, and bf16 for a "
                   "run's")
      ->check(CLI::IsMember({"fp32", "bf16", "fp16"}));
  command
      ->add_option("--max-shard-size", arguments->max_shard_size,
                   "A file of tensors is closed before it grows beyond this (5GB, 500MiB)")
      ->check(byte_size())
      ->capture_default_str();
  command->add_option(
      "--tokenizer", arguments->tokenizer,
      "tokenizer.json, its folder, or *.tiktoken, in the place of the checkpoint's");
  command->callback([arguments] { run_export(*arguments); });
}

}  // namespace phalanx
