// What opening the data of a run of 50 sources with 200 shards in either part costs a rank, counted
// and not timed.
#include "trainer/run_data.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <system_error>

#include "data/tokenizer/tokenizer_file.h"
#include "tests/data/mixture/big_run.h"
#include "tests/data/shards/counted_opens.h"
#include "tests/data/shards/scratch.h"
#include "tests/data/tokenizer/tokenizer_samples.h"

namespace {
// The calls can be reached by no other way.
std::atomic<int64_t> num_sizes{0};
}  // namespace

extern "C" {
// std::filesystem::file_size(path, error_code).
std::uintmax_t __real__ZNSt10filesystem9file_sizeERKNS_7__cxx114pathERSt10error_code(
    const std::filesystem::path& path, std::error_code& error);
std::uintmax_t __wrap__ZNSt10filesystem9file_sizeERKNS_7__cxx114pathERSt10error_code(
    const std::filesystem::path& path, std::error_code& error) {
  ++num_sizes;
  return __real__ZNSt10filesystem9file_sizeERKNS_7__cxx114pathERSt10error_code(path, error);
}
}

namespace phalanx {
namespace {

namespace fs = std::filesystem;
constexpr int kParts = 2 * testing::kBigSources;

/// Training and held-out parts are the same files.
class BigRunData : public ::testing::Test {
 protected:
  BigRunData() {
    const Tokenizer tokenizer(testing::sample_parts());
    config_.data.tokenizer = save_tokenizer(tokenizer, (scratch_ / "tokenizer").string());
    testing::make_big_sources(scratch_ / "big", testing::kBigShards, tokenizer.fingerprint());
    const testing::TestRun big = testing::big_curriculum();
    config_.data.sources = big.data.sources;
    for (SourceConfig& source : config_.data.sources) {
      source.path = (scratch_ / source.name).string();
      make_folders(source.path);
      for (const char* part : {"train", "validation"}) {
        fs::create_directory_symlink(scratch_ / "big" / source.name, fs::path(source.path) / part);
      }
    }
    config_.model.shape.vocab_size = 100352;
    config_.stages.resize(1);
    config_.stages[0].global_batch_size = 4096;
    config_.stages[0].phases = big.stages[0].phases;
  }

  const Scratch scratch_;
  RunConfig config_;
};

TEST_F(BigRunData, ARankOpensManifestsAndLooksAtItsShareOfTheShards) {
  for (const int world : {1, 64, 2048}) {
    const int64_t opens = testing::num_opens, sizes = num_sizes;
    const RunData data = open_run_data(config_, 3 % world, world);
    EXPECT_EQ(data.validation.size(), testing::kBigSources);
    EXPECT_LE(testing::num_opens - opens, kParts + 1);  // and the tokenizer
    const int shards = (testing::kBigShards - 3 % world + world - 1) / world;
    EXPECT_EQ(num_sizes - sizes, int64_t{2} * kParts * shards) << world;
  }
}

TEST_F(BigRunData, AMissingHeldOutShardIsFoundByTheRankWhoseShareItIs) {
  const fs::path part = fs::path(config_.data.sources[0].path) / "validation";
  const fs::path files = fs::read_symlink(part);
  fs::remove(part);
  make_folders(part);
  for (const auto& entry : fs::directory_iterator(files)) {
    fs::create_hard_link(entry.path(), part / entry.path().filename());
  }
  fs::remove(part / "shard-7.bin");
  for (int rank = 0; rank < 4; ++rank) {
    if (rank != 7 % 4) {
      EXPECT_NO_THROW(open_run_data(config_, rank, 4)) << rank;
      continue;
    }
    try {
      open_run_data(config_, rank, 4);
      ADD_FAILURE() << "no error";
    } catch (const std::exception& error) {
      EXPECT_NE(std::string(error.what()).find("validation/shard-7.bin"), std::string::npos)
          << error.what();
    }
  }
}

}  // namespace
}  // namespace phalanx
