// The loader's speed on data sets on disk, for loader_bench.py, which runs it beside its peer:
//   loader_bench make FOLDER                  three data sets of 20M tokens (vocabulary of phi-4)
//   loader_bench read FOLDER ROWS MASK PACKING  tokens a second of one core, warm cache
//   loader_bench wait FOLDER SECONDS          waits of a consumer of 1M tokens/s
// MASK is on or off, PACKING windows or best_fit. Results are JSON on stdout. Not a test.
#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <string>
#include <thread>

#include "data/mixture/bin_loader.h"
#include "data/mixture/prefetcher.h"
#include "data/shards/bins_file.h"
#include "data/shards/part_writer.h"

namespace {

using namespace phalanx;
using Clock = std::chrono::steady_clock;

constexpr int64_t kLength = 4096;
constexpr int64_t kRowsPerStep = 64;
constexpr int32_t kEnd = 100257;
constexpr const char* kNames[] = {"code", "synthetic", "web"};

/// Log-normal around 700 tokens, as documents of web pages are.
int64_t document_length(uint64_t seed) {
  double sum = -6.0;
  for (uint64_t k = 0; k < 12; ++k) {
    sum += static_cast<double>(mix_bits(seed * 12 + k) >> 11) * 0x1p-53;
  }
  return std::max<int64_t>(2, std::llround(700.0 * std::exp(1.1 * sum)));
}

void make_dataset(const std::filesystem::path& folder, uint64_t seed) {
  DatasetManifest manifest;
  manifest.name = folder.filename();
  manifest.vocab_size = 100352;
  manifest.end_of_document = kEnd;
  manifest.token_type = token_type_for(manifest.vocab_size);
  manifest.packing.part = "train";
  PartWriter writer(folder, manifest, int64_t{1} << 30);
  std::vector<int32_t> document;
  for (uint64_t d = 0; writer.num_tokens() < 20'000'000; ++d) {
    document.assign(static_cast<size_t>(document_length(seed << 40 | d)), kEnd);
    for (size_t i = 0; i + 1 < document.size(); ++i) {
      document[i] = static_cast<int32_t>(mix_bits(seed << 40 | d << 16 | i) % kEnd);
    }
    writer.add_document("document", 0, document);
    ++manifest.packing.documents_read;
  }
  DatasetManifest written = writer.finish();
  written.packing.documents_read = written.num_documents();
  for (ShardEntry& shard : written.shards) {
    shard.bins = write_bins(folder / shard.file, {kLength});
  }
  commit_file(folder / kManifestName, manifest_json(written));
}

BatchLoader open_loader(const std::filesystem::path& folder, int64_t rows, bool mask,
                        bool best_fit) {
  DataConfig data;
  data.document_mask = mask;
  StageRows stage{"s", kLength, kRowsPerStep, {}, false, {}};
  PhaseConfig phase{
      "p", rows * kLength, {{"web", 0.5}, {"code", 0.3}, {"synthetic", 0.2}}, Ramp::kStep, {}};
  stage.phases.push_back(phase);
  const auto files = std::make_shared<FilePool>();
  StageSources sources(1);
  std::vector<SourceInfo> infos;
  for (const char* name : kNames) {
    auto reader = std::make_shared<const DatasetReader>(folder / name, ReaderOptions{files, false});
    if (best_fit) {
      sources[0].push_back(std::make_shared<BinLoader>(reader, SourceLoaderConfig{kLength}));
    } else {
      sources[0].push_back(std::make_shared<SourceLoader>(reader, SourceLoaderConfig{kLength}));
    }
    SourceConfig source{name, "", SourceKind::kOrganic, 1e6};
    data.sources.push_back(source);
    infos.push_back({name, "", {sources[0].back()->num_rows()}});
  }
  return BatchLoader(begin_run(resolve_curriculum(data, {stage}), infos), sources, 0, 1);
}

void read(const std::filesystem::path& folder, int64_t rows, bool mask, bool best_fit) {
  BatchLoader loader = open_loader(folder, 2 * rows, mask, best_fit);
  const int64_t steps = rows / kRowsPerStep;
  for (int64_t i = 0; i < steps; ++i) (void)loader.next();  // warms the cache
  const std::clock_t begin = std::clock();
  int64_t valid = 0;
  for (int64_t i = 0; i < steps; ++i) valid += loader.next().num_valid_targets;
  const double seconds = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
  const auto tokens = static_cast<double>(steps * kRowsPerStep * kLength);
  fmt::print("{{\"tokens_per_second\": {:.0f}, \"valid_share\": {:.5f}}}\n", tokens / seconds,
             static_cast<double>(valid) / tokens);
}

void wait(const std::filesystem::path& folder, double seconds) {
  const auto steps = static_cast<int64_t>(seconds * 1e6 / (kRowsPerStep * kLength));
  Prefetcher prefetcher(open_loader(folder, (steps + 1) * kRowsPerStep, true, false), 2);
  (void)prefetcher.next();
  const double first = prefetcher.waited_seconds();
  const auto step = std::chrono::duration<double>(kRowsPerStep * kLength / 1e6);
  auto due = Clock::now();
  double longest = 0.0;
  int64_t waits = 0;
  for (int64_t i = 0; i < steps; ++i) {
    due += std::chrono::duration_cast<Clock::duration>(step);
    std::this_thread::sleep_until(due);
    const double before = prefetcher.waited_seconds();
    (void)prefetcher.next();
    const double waited = prefetcher.waited_seconds() - before;
    longest = std::max(longest, waited);
    waits += waited > 1e-4;
  }
  fmt::print(
      "{{\"steps\": {}, \"first_wait_ms\": {:.3f}, \"waits_over_0.1ms\": {}, "
      "\"longest_wait_ms\": {:.4f}}}\n",
      steps, first * 1e3, waits, longest * 1e3);
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments.size() == 2 && arguments[0] == "make") {
    uint64_t seed = 1;
    for (const char* name : kNames) make_dataset(arguments[1] + "/" + name, seed++);
  } else if (arguments.size() == 5 && arguments[0] == "read") {
    read(arguments[1], std::stoll(arguments[2]), arguments[3] == "on", arguments[4] == "best_fit");
  } else if (arguments.size() == 3 && arguments[0] == "wait") {
    wait(arguments[1], std::stod(arguments[2]));
  } else {
    fmt::print(stderr,
               "usage: loader_bench make FOLDER | read FOLDER ROWS on|off windows|best_fit "
               "| wait FOLDER SECONDS\n");
    return 2;
  }
}
