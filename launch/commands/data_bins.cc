#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <stdexcept>

#include "data/file.h"
#include "data/shards/bins_file.h"
#include "data/shards/dataset_files.h"
#include "launch/commands/data.h"
#include "launch/commands/progress_line.h"
#include "launch/counted.h"

namespace phalanx {
namespace {

struct BinsArguments {
  std::string folder;
  std::vector<int64_t> sequence_lengths;
};

/// Adds `made` to the entries of a shard; bins of a length that was there are replaced.
void add_entries(const std::vector<BinsEntry>& made, std::vector<BinsEntry>& entries) {
  for (const BinsEntry& entry : made) {
    const auto place = std::lower_bound(
        entries.begin(), entries.end(), entry.sequence_length,
        [](const BinsEntry& e, int64_t length) { return e.sequence_length < length; });
    if (place != entries.end() && place->sequence_length == entry.sequence_length) {
      *place = entry;
    } else {
      entries.insert(place, entry);
    }
  }
}

/// What the rows of one length hold, over the shards.
void print_length(const std::filesystem::path& folder, const DatasetManifest& manifest,
                  int64_t length) {
  int64_t bins = 0, pieces = 0;
  for (const ShardEntry& shard : manifest.shards) {
    const BinsFile file(bins_path(folder / shard.file, length), length, shard);
    bins += file.num_bins();
    pieces += file.num_pieces();
  }
  // Each piece has one token more than targets; documents of one token are in no bin.
  int64_t targets = 0;
  for (const ShardEntry& shard : manifest.shards) targets += shard.num_tokens - shard.num_documents;
  const double room = static_cast<double>(bins) * static_cast<double>(length + 1);
  fmt::print("  {:<16} {} of whole documents, {}, padding {:.3f} %\n", length, counted(bins, "row"),
             counted(pieces, "piece"),
             bins > 0 ? 100.0 * (1.0 - static_cast<double>(targets + pieces) / room) : 0.0);
}

void run_bins(const BinsArguments& arguments) {
  const std::filesystem::path folder = train_folder(arguments.folder);
  DatasetManifest manifest = load_manifest(folder);
  ProgressLine line;
  for (size_t i = 0; i < manifest.shards.size(); ++i) {
    line.show(fmt::format("making bins: shard {} of {}", i + 1, manifest.shards.size()));
    ShardEntry& shard = manifest.shards[i];
    add_entries(write_bins(folder / shard.file, arguments.sequence_lengths), shard.bins);
  }
  line.finish();
  commit_file(folder / kManifestName, manifest_json(manifest));
  fmt::print("{}\n", folder.string());
  for (const int64_t length : arguments.sequence_lengths) print_length(folder, manifest, length);
}

}  // namespace

void add_data_bins_command(CLI::App& data) {
  auto arguments = std::make_shared<BinsArguments>();
  CLI::App* bins = data.add_subcommand(
      "bins", "Make rows of whole documents of a data set (data.packing: best_fit)");
  bins->footer(
      "Writes SHARD.bins-LENGTH beside each shard, then the new dataset.json. The tokens stay as "
      "they are.\nExample:\n  phalanx data bins data/books --sequence-length 4096 16384");
  bins->add_option("folder", arguments->folder, "Folder made by data pack, or an adopted data set")
      ->required();
  bins->add_option("--sequence-length", arguments->sequence_lengths,
                   "Targets of a row; the stage's sequence_length")
      ->required()
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 30));
  bins->callback([arguments] { run_bins(*arguments); });
}

}  // namespace phalanx
