// A file of several hash blocks: what spans them reads right, and one bit that flips in any of them
// is found and named, however many ranks look and whichever of them reads it.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>

#include "data/block_hash.h"
#include "tests/trainer/checkpoint/toy_checkpoint.h"

namespace phalanx {
namespace {

constexpr const char* kFile = "rank-00000.safetensors";
constexpr int64_t kNumBlocks = 4;

/// Three times its 18 MB, so that every kind crosses the edge of a block.
std::vector<ToyTensor> big_tensors() {
  return {{"token_embedding.weight", {1100, 4096}, ParamRole::kSharded, 0},
          {"norm.weight", {5}, ParamRole::kReplicated, 0}};
}

/// The share of a rank of so many replicas, with the values that were saved.
std::unique_ptr<RankModel> saved_share(int rank, int num_ranks) {
  auto model = make_rank(make_mesh(rank, num_ranks, 1), big_tensors());
  fill_toy(*model);
  return model;
}

bool same_values(const RankModel& a, const RankModel& b) {
  for (size_t bucket = 0; bucket < a.shares.size(); ++bucket) {
    for (const ShareKind& kind : kShareKinds) {
      if (!(a.shares[bucket].*kind.tensor).equal(b.shares[bucket].*kind.tensor)) return false;
    }
  }
  return true;
}

class CheckpointBlocks : public ::testing::TestWithParam<int> {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<TemporaryFolder>();
    run_ranks(1, [](Communicator& world) {
      save_checkpoint(keep_all(folder_->path()), contents_of(*saved_share(0, 1), Phi4Config{}, 1),
                      Mesh{}, world);
    });
  }
  static void TearDownTestSuite() { folder_.reset(); }

  void SetUp() override {
    for (int rank = 0; rank < GetParam(); ++rank) {
      saved_.push_back(saved_share(rank, GetParam()));
    }
  }
  static Path path() { return checkpoint_path(folder_->path(), 1); }

  /// What every rank is told when all verify it together.
  static std::vector<std::string> verdicts() {
    std::vector<std::string> messages(static_cast<size_t>(GetParam()));
    run_ranks(GetParam(), [&](Communicator& world) {
      messages[static_cast<size_t>(world.rank())] = verify_checkpoint(path(), world);
    });
    return messages;
  }
  /// What each rank that loads it stumbles upon; without a message it has the values as saved.
  std::vector<std::string> load_errors() const {
    std::vector<std::string> messages;
    for (int rank = 0; rank < GetParam(); ++rank) {
      const auto model = make_rank(make_mesh(rank, GetParam(), 1), big_tensors());
      messages.push_back(message_of([&] {
        CheckpointReader reader(path());
        load_checkpoint(reader, Phi4Config{}, model->parameters, model->shares);
      }));
      if (messages.back().empty()) {
        EXPECT_TRUE(same_values(*model, *saved_[static_cast<size_t>(rank)])) << "rank " << rank;
      }
    }
    return messages;
  }

  static inline std::unique_ptr<TemporaryFolder> folder_;
  std::vector<std::unique_ptr<RankModel>> saved_;  // by rank
};

TEST_P(CheckpointBlocks, AreReadAsTheyWereWritten) {
  const std::vector<std::string> none(static_cast<size_t>(GetParam()));
  EXPECT_EQ(verdicts(), none);
  EXPECT_EQ(load_errors(), none);
}

TEST_P(CheckpointBlocks, AFlipInEachIsNamedWithItsBlock) {
  const auto size = static_cast<int64_t>(std::filesystem::file_size(path() / kFile));
  ASSERT_EQ((size + kHashBlockBytes - 1) / kHashBlockBytes, kNumBlocks);
  for (int64_t block = 0; block < kNumBlocks; ++block) {
    const int64_t begin = block * kHashBlockBytes, end = std::min(begin + kHashBlockBytes, size);
    const std::string named =
        fmt::format("checkpoint {}: file {}: block {} (bytes {} to {}): expected hash ",
                    path().string(), kFile, block, begin, end);
    for (const int64_t at : {begin, end - 1}) {
      flip_bit(path() / kFile, at);
      for (const std::string& verdict : verdicts()) EXPECT_CONTAINS(verdict, named);
      int found = 0;
      for (const std::string& error : load_errors()) {
        if (error.empty()) continue;
        EXPECT_CONTAINS(error, named);
        ++found;
      }
      EXPECT_GT(found, 0) << named;
      flip_bit(path() / kFile, at);
    }
  }
  std::cout << "faults: " << 2 * kNumBlocks << " bits flipped\n";
}

INSTANTIATE_TEST_SUITE_P(Ranks, CheckpointBlocks, ::testing::Values(1, 3));

}  // namespace
}  // namespace phalanx
