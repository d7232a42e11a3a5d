#pragma once
// A run of 50 sources, 200 shards each, and 10 trillion tokens without the disk space: every shard
// is a link to one sparse file. For the test and the bench of scale. Local.
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "data/file.h"
#include "data/mixture/source_loader.h"
#include "data/shards/shard_layout.h"
#include "tests/data/mixture/fake_source.h"

namespace phalanx::testing {

inline constexpr int kBigSources = 50, kBigShards = 200;
inline constexpr int64_t kBigShardTokens = int64_t{1} << 30;

inline std::string big_name(int k) { return "s" + std::to_string(100 + k); }

/// One document of 2^30 tokens, all of them id 0.
inline void make_big_shard(const std::filesystem::path& prefix) {
  File::create(prefix.string() + ".bin").close();
  std::filesystem::resize_file(prefix.string() + ".bin", kBigShardTokens * 4);
  File idx = File::create(prefix.string() + ".idx");
  const auto put = [&](auto value) { idx.write_all(std::as_bytes(std::span(&value, 1))); };
  put(kIndexMagic);
  put(kIndexVersion);
  put(uint8_t{4});
  put(int64_t{1});  // sequences
  put(int64_t{2});  // boundaries
  put(static_cast<int32_t>(kBigShardTokens));
  put(int64_t{0});
  put(int64_t{0});
  put(int64_t{1});
  idx.close();
}

inline void make_big_sources(const std::filesystem::path& folder, int num_shards = kBigShards,
                             const std::string& tokenizer = "") {
  make_folders(folder);
  make_big_shard(folder / "one");
  for (int k = 0; k < kBigSources; ++k) {
    const std::filesystem::path source = folder / big_name(k);
    make_folders(source);
    DatasetManifest manifest;
    manifest.name = big_name(k);
    manifest.vocab_size = 100352;
    manifest.tokenizer = tokenizer;
    manifest.token_type = TokenType::kInt32;
    manifest.packing.part = "train";
    manifest.packing.documents_read = num_shards;
    for (int i = 0; i < num_shards; ++i) {
      ShardEntry entry{"shard-" + std::to_string(i), kBigShardTokens, 1, kBigShardTokens * 4};
      entry.idx_bytes = IndexLayout{1, 2}.total_bytes();
      for (const char* suffix : {".bin", ".idx"}) {
        std::filesystem::create_hard_link(folder / (std::string("one") + suffix),
                                          source / (entry.file + suffix));
      }
      manifest.shards.push_back(entry);
    }
    commit_file(source / kManifestName, manifest_json(manifest));
  }
}

/// 10 trillion tokens: four phases of random mixes, one of them after a long ramp.
inline TestRun big_curriculum() {
  TestRun setup;
  Dice dice(1);
  setup.stages.resize(1);
  setup.stages[0].sequence_length = 4096;
  setup.stages[0].global_batch_size = 4096;
  for (int k = 0; k < kBigSources; ++k) {
    setup.data.sources.push_back({big_name(k), "", SourceKind::kOrganic, 100.0});
  }
  for (int p = 0; p < 4; ++p) {
    PhaseConfig phase;
    phase.tokens = 2'500'000'000'000;
    phase.mix = random_mix(dice, kBigSources);
    setup.stages[0].phases.push_back(phase);
  }
  setup.stages[0].phases[2].ramp = Ramp::kLinear;
  setup.stages[0].phases[2].ramp_tokens = 1'000'000'000'000;
  return setup;
}

/// The same with data sets of random sizes, for plans alone.
inline TestRun big_plan() {
  TestRun setup = big_curriculum();
  Dice dice(2);
  for (int k = 0; k < kBigSources; ++k) {
    setup.sources.push_back({big_name(k), "", {dice.between(100'000'000, 2'000'000'000)}});
  }
  return setup;
}

struct BigSources {
  std::vector<SourceInfo> infos;
  StageSources rows{1};
};

/// What a rank of `world` opens.
inline BigSources open_big_sources(const std::filesystem::path& folder, int64_t rank,
                                   int64_t world) {
  const auto files = std::make_shared<FilePool>();
  BigSources sources;
  for (int k = 0; k < kBigSources; ++k) {
    auto reader =
        std::make_shared<const DatasetReader>(folder / big_name(k), ReaderOptions{files, false});
    reader->check_shards(static_cast<size_t>(rank), static_cast<size_t>(world));
    sources.rows[0].push_back(
        std::make_shared<SourceLoader>(reader, SourceLoaderConfig{.sequence_length = 4096}));
    sources.infos.push_back({big_name(k),
                             reader->manifest().order_fingerprint(),
                             {sources.rows[0].back()->num_rows()}});
  }
  return sources;
}

inline BatchLoader load_big_run(const BigSources& sources, int64_t dp_rank, int64_t dp_size) {
  return {begin_run(big_curriculum().curriculum(), sources.infos), sources.rows, dp_rank, dp_size};
}

/// Memory of this process that is not shared with files, in bytes.
inline int64_t anonymous_memory() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("RssAnon:", 0) == 0) return std::stoll(line.substr(8)) * 1024;
  }
  return 0;
}

}  // namespace phalanx::testing
