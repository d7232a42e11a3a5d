// Work and memory of a run of 10 trillion tokens, counted and not timed; tests/bench has the times.
#include <gtest/gtest.h>

#include "data/mixture/bin_loader.h"
#include "tests/data/mixture/big_run.h"
#include "tests/data/shards/counted_opens.h"
#include "tests/data/shards/scratch.h"
#include "tests/support/thread_sanitizer.h"

namespace phalanx {
namespace {

using testing::num_opens;

TEST(Scale, TenTrillionTokensOpenFiftyManifestsAndAJumpReadsItsRowsOnly) {
  const Scratch scratch;
  testing::make_big_sources(scratch / "big");
  const int64_t opens = num_opens;
  const int64_t memory = testing::anonymous_memory();
  BatchLoader loader =
      testing::load_big_run(testing::open_big_sources(scratch / "big", 3, 2048), 3, 2048);
  EXPECT_EQ(num_opens - opens, 50);
  EXPECT_EQ(loader.next().tokens_RT.size(0), 2);
  const int64_t last = (10'000'000'000'000 / 4096 + 4095) / 4096 - 1;
  loader.skip(last - 1);
  const Batch batch = loader.next();
  EXPECT_TRUE(loader.done());
  EXPECT_EQ(batch.step, last);
  EXPECT_EQ(batch.cursor_after.row, (last + 1) * 4096);
  // Two rows a batch: at most two shards a row, two files a shard.
  EXPECT_LE(num_opens - opens - 50, 2 * 2 * 2 * 2);
  // The thread sanitizer's notes of each access are memory too.
  const int64_t limit = int64_t{kThreadSanitizer ? 1000 : 100} << 20;
  EXPECT_LT(testing::anonymous_memory() - memory, limit);
}

/// A shard of five documents of 2^30 tokens: positions pass 2^32. One id is written, the rest is 0.
class FarPositions : public ::testing::Test {
 protected:
  static constexpr int64_t kDocument = int64_t{1} << 30, kDocuments = 5;
  static constexpr int64_t kPlace = (int64_t{1} << 32) + 12345;
  FarPositions() {
    std::vector<int32_t> lengths(kDocuments, static_cast<int32_t>(kDocument));
    std::vector<int64_t> pointers, boundaries;
    for (int64_t d = 0; d <= kDocuments; ++d) boundaries.push_back(d);
    for (int64_t d = 0; d < kDocuments; ++d) pointers.push_back(2 * d * kDocument);
    File idx = File::create(scratch_ / "shard.idx");
    const auto put = [&](auto value) { idx.write_all(std::as_bytes(std::span(&value, 1))); };
    put(kIndexMagic);
    put(kIndexVersion);
    put(uint8_t{8});
    put(kDocuments);
    put(kDocuments + 1);
    idx.write_all(std::as_bytes(std::span(lengths)));
    idx.write_all(std::as_bytes(std::span(pointers)));
    idx.write_all(std::as_bytes(std::span(boundaries)));
    idx.close();
    spill(scratch_ / "shard.bin", "");
    std::filesystem::resize_file(scratch_ / "shard.bin", 2 * kDocuments * kDocument);
    std::fstream bin(scratch_ / "shard.bin", std::ios::in | std::ios::out | std::ios::binary);
    bin.seekp(2 * kPlace).write("\x4d\0", 2);
    bin.close();
    DatasetManifest manifest;
    manifest.vocab_size = 100;
    manifest.packing.part = "train";
    manifest.packing.documents_read = kDocuments;
    manifest.shards.push_back(
        {"shard", kDocuments * kDocument, kDocuments, 2 * kDocuments * kDocument});
    manifest.shards[0].bins = write_bins(scratch_ / "shard", {int64_t{1} << 20});
    commit_file(scratch_ / "dataset.json", manifest_json(manifest));
    reader_ = std::make_shared<const DatasetReader>(scratch_.folder());
  }

  const Scratch scratch_;
  std::shared_ptr<const DatasetReader> reader_;
};

TEST_F(FarPositions, AWindowPast2To32Tokens) {
  const SourceLoader loader(reader_, {.sequence_length = 4096});
  Row row;
  loader.read(kPlace / 4096, row);
  EXPECT_EQ(row.tokens[kPlace % 4096], 77);
  EXPECT_EQ(row.documents, (std::vector<int64_t>{4}));
  loader.read(((int64_t{1} << 32) - 1) / 4096, row);
  EXPECT_EQ(row.document_starts, (std::vector<int64_t>{4096}));
  EXPECT_EQ(row.documents, (std::vector<int64_t>{3, 4}));
  EXPECT_EQ(loader.num_rows(), kDocuments * kDocument / 4096);
}

TEST_F(FarPositions, ABinPast2To32Tokens) {
  const BinLoader loader(reader_, {.sequence_length = int64_t{1} << 20});
  EXPECT_EQ(loader.num_rows(), 5 * 1024);
  Row row;
  loader.read(4 * 1023, row);  // the full pieces come first, document by document
  EXPECT_EQ(row.documents, (std::vector<int64_t>{4}));
  EXPECT_EQ(row.tokens[12345], 77);
  EXPECT_EQ(std::count(row.tokens.begin(), row.tokens.end(), 77), 1);
}

}  // namespace
}  // namespace phalanx
