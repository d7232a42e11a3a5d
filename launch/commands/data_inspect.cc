#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <stdexcept>

#include "data/shards/dataset_files.h"
#include "data/shards/dataset_reader.h"
#include "data/shards/dataset_verify.h"
#include "launch/commands/data.h"
#include "launch/commands/progress_line.h"

namespace phalanx {
namespace {

struct InspectArguments {
  std::string folder;
  bool verify = false;
};

double megabytes(int64_t bytes) { return static_cast<double>(bytes) / 1e6; }

void print_manifest(const std::filesystem::path& folder, const DatasetManifest& manifest) {
  fmt::print("{}\n", folder.string());
  const auto line = [](const char* key, const auto& value) {
    fmt::print("  {:<16} {}\n", key, value);
  };
  line("name", manifest.name);
  line("kind", dataset_kind_name(manifest.kind));
  line("part", manifest.packing.part);
  line("licence", manifest.licence.empty() ? "not stated" : manifest.licence);
  line("documents", manifest.num_documents());
  line("tokens", manifest.num_tokens());
  line("text bytes", manifest.text_bytes);
  line("vocabulary", manifest.vocab_size);
  line("end of document", manifest.end_of_document);
  line("tokenizer", manifest.tokenizer);
  line("fingerprint", manifest.order_fingerprint());
  for (const InputEntry& input : manifest.packing.inputs) {
    line("input", fmt::format("{} ({} files, {} documents, {} bytes)", input.pattern,
                              input.num_files, input.num_documents, input.bytes));
  }
  for (const ShardEntry& shard : manifest.shards) {
    line(shard.file.c_str(),
         fmt::format("{} documents, {} tokens, {} bytes of {}, XXH3 {}", shard.num_documents,
                     shard.num_tokens, shard.bin_bytes, token_type_name(manifest.token_type),
                     hash_text(shard.bin_xxh3)));
  }
}

/// The number of problems found.
size_t inspect_part(const std::filesystem::path& folder, bool verify) {
  const DatasetReader reader(folder);
  print_manifest(folder, reader.manifest());
  if (!verify) return 0;
  int64_t total = 0;
  for (const ShardEntry& shard : reader.manifest().shards) total += shard.bin_bytes;
  ProgressLine line;
  const std::vector<std::string> problems = verify_dataset(reader, [&](int64_t bytes) {
    line.show(fmt::format("verifying: {:.1f} of {:.1f} MB", megabytes(bytes), megabytes(total)));
  });
  line.finish();
  for (const std::string& problem : problems) fmt::print("  damaged          {}\n", problem);
  if (problems.empty()) fmt::print("  verified         all shards are as they were packed\n");
  return problems.size();
}

void run_inspect(const InspectArguments& arguments) {
  const std::filesystem::path folder = arguments.folder;
  size_t problems = inspect_part(train_folder(folder), arguments.verify);
  if (const auto validation = validation_folder(folder)) {
    problems += inspect_part(*validation, arguments.verify);
  }
  if (problems > 0) {
    throw std::invalid_argument(
        fmt::format("{}: expected an undamaged data set, found {} problem{}", arguments.folder,
                    problems, problems == 1 ? "" : "s"));
  }
}

}  // namespace

void add_data_inspect_command(CLI::App& data) {
  auto arguments = std::make_shared<InspectArguments>();
  CLI::App* inspect = data.add_subcommand("inspect", "Show what a data set holds");
  inspect->footer("Example:\n  phalanx data inspect data/books --verify");
  inspect->add_option("folder", arguments->folder, "Folder made by data pack, or a part of it")
      ->required();
  inspect->add_flag("--verify", arguments->verify, "Read everything and compare the hashes");
  inspect->callback([arguments] { run_inspect(*arguments); });
}

}  // namespace phalanx
