#include "data/mixture/bin_loader.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "data/mixture/batch.h"
#include "tests/data/shards/sample.h"

namespace phalanx {
namespace {

std::shared_ptr<const DatasetReader> open(const Sample& sample) {
  return std::make_shared<const DatasetReader>(sample.folder);
}

// An epoch as the trainer sees it: through batches, with the document mask.
TEST(BinLoader, AnEpochHasEachTokenButItsDocumentsFirstAsAValidTargetOnce) {
  const Scratch scratch;
  const Sample sample(scratch / "d", 300, 200, 1000, {7, 16, 40});
  for (const int64_t length : {7, 16, 40}) {
    const BinLoader loader(open(sample), {.sequence_length = length});
    std::vector<int> times(sample.tokens.size(), 0);
    Batch batch = make_batch(loader.num_rows(), length);
    Row row;
    for (int64_t i = 0; i < loader.num_rows(); ++i) {
      loader.read(i, row);
      ASSERT_EQ(static_cast<int64_t>(row.tokens.size()), length + 1);
      ASSERT_EQ(row.documents.size(), row.document_starts.size());
      ASSERT_EQ(row.document_starts.front(), 0);
      put_row(row, 0, i, true, batch);
      const bool* valid = batch.loss_mask_RT.const_data_ptr<bool>() + i * length;
      for (size_t p = 0; p < row.documents.size(); ++p) {
        const int64_t begin = row.document_starts[p];
        const int64_t end =
            p + 1 < row.documents.size() ? row.document_starts[p + 1] : row.num_valid_targets + 1;
        // Where in its document the piece lies is told by its tokens, which rise inside one.
        const int64_t start = sample.starts[static_cast<size_t>(row.documents[p])];
        const auto from = std::search(sample.tokens.begin() + start, sample.tokens.end(),
                                      row.tokens.begin() + begin, row.tokens.begin() + end);
        for (int64_t t = begin; t + 1 < end; ++t) {
          ASSERT_TRUE(valid[t]);
          ++times[static_cast<size_t>(from - sample.tokens.begin() + t + 1 - begin)];
        }
        // The next piece's first token, or padding.
        ASSERT_FALSE(end <= length && valid[end - 1]);
      }
      ASSERT_EQ(std::count(row.tokens.begin() + row.num_valid_targets + 1, row.tokens.end(), kEnd),
                length - row.num_valid_targets);
    }
    std::vector<int> expected(sample.tokens.size(), 1);
    for (const int64_t start : sample.starts) expected[static_cast<size_t>(start)] = 0;
    EXPECT_EQ(times, expected) << length;
    EXPECT_EQ(batch.num_valid_targets, std::count(expected.begin(), expected.end(), 1));
    EXPECT_EQ(loader.shard_rows().size(), open(sample)->manifest().shards.size() + 1);
    EXPECT_EQ(loader.shard_rows().back(), loader.num_rows());
  }
}

TEST(BinLoader, ALengthWithoutBinsNamesTheDataSetTheLengthsThereAndTheCommand) {
  const Scratch scratch;
  const Sample sample(scratch / "d", 20, 1000, 1000, {7, 16});
  EXPECT_EQ(
      message_of<std::invalid_argument>([&] { BinLoader(open(sample), {.sequence_length = 8}); }),
      sample.folder.string() +
          ": shard-00000: expected bins of sequence_length 8 for data.packing best_fit, found "
          "those "
          "of 7, 16: make them with `phalanx data bins " +
          sample.folder.string() + " --sequence-length 8`");
  const Sample plain(scratch / "e", 20, 1000);
  const std::string message =
      message_of<std::invalid_argument>([&] { BinLoader(open(plain), {.sequence_length = 8}); });
  EXPECT_NE(message.find("found none: make them"), std::string::npos) << message;
}

TEST(BinLoader, ASidecarOfAnotherSizeThanTheManifestSaysIsAnError) {
  const Scratch scratch;
  const Sample sample(scratch / "d", 40, 1000, 1000, {7}),
      other(scratch / "e", 40, 1000, 1000, {7});
  std::string json = slurp(sample.folder / "dataset.json");
  const int64_t bins = load_manifest(sample.folder).shards[0].bins[0].num_bins;
  const std::string field = "\"bins\": " + std::to_string(bins);
  json.replace(json.find(field), field.size(), "\"bins\": " + std::to_string(bins + 1));
  spill(sample.folder / "dataset.json", json);
  const BinLoader loader(open(sample), {.sequence_length = 7});
  Row row;
  EXPECT_EQ(message_of<std::invalid_argument>([&] { loader.read(0, row); }),
            (sample.folder / "shard-00000.bins-7").string() + ": bins: expected " +
                std::to_string(bins + 1) + " as dataset.json beside it says, found " +
                std::to_string(bins));
}

TEST(BinLoader, ARangeOfTokensIsRefused) {
  const Scratch scratch;
  const Sample sample(scratch / "d", 20, 1000, 1000, {7});
  EXPECT_EQ(message_of<std::invalid_argument>(
                [&] { BinLoader(open(sample), {.sequence_length = 7, .end_token = 5}); }),
            sample.folder.string() +
                ": expected all of its tokens for data.packing best_fit, whose bins are made of "
                "whole shards, found a part of them");
}

TEST(BinLoader, ChangedBinsAreNamedWhereReadingIsVerified) {
  const Scratch scratch;
  const Sample sample(scratch / "d", 40, 1000, 1000, {7});
  const std::string path = (sample.folder / "shard-00000.bins-7").string();
  const std::string expected = hash_text(hash_file(path));
  std::string bytes = slurp(path);
  bytes[32 + 12] ^= 1;  // the document of a piece
  spill(path, bytes);
  Row row;
  BinLoader(open(sample), {.sequence_length = 7}).read(1, row);
  const auto reader =
      std::make_shared<const DatasetReader>(sample.folder, ReaderOptions{nullptr, true});
  EXPECT_EQ(message_of<std::invalid_argument>(
                [&] { BinLoader(reader, {.sequence_length = 7}).read(1, row); }),
            path + ": XXH3: expected " + expected + " as " +
                (sample.folder / "dataset.json").string() + " says, found " +
                hash_text(hash_file(path)) + ": the file changed since it was written");
}

TEST(BinLoader, TheFingerprintChangesWithTheBinsOfTheLengthsInUseOnly) {
  const Scratch scratch;
  const Sample sample(scratch / "d", 40, 1000, 1000, {7, 16});
  DatasetManifest manifest = load_manifest(sample.folder);
  const std::string seven = bins_fingerprint(manifest, {7});
  const std::string both = bins_fingerprint(manifest, {16, 7, 7});
  EXPECT_EQ(seven.substr(0, 16), manifest.order_fingerprint());
  EXPECT_EQ(both.rfind(seven + "/bins-16:", 0), 0u);
  manifest.shards[0].bins[1].xxh3 ^= 1;
  EXPECT_EQ(bins_fingerprint(manifest, {7}), seven);
  EXPECT_NE(bins_fingerprint(manifest, {7, 16}), both);
}

TEST(BinLoader, NamesShardPlaceAndIdOfATokenPastTheVocabulary) {
  const Scratch scratch;
  const Sample sample(scratch / "d", 40, 1000, 1000, {7});
  const BinLoader loader(open(sample), {.sequence_length = 7, .vocab_size = 999});
  Row row;
  const std::string message = message_of<std::invalid_argument>([&] {
    for (int64_t i = 0; i < loader.num_rows(); ++i) loader.read(i, row);
  });
  EXPECT_NE(message.find(": expected an id below the vocabulary's 999, found 999"),
            std::string::npos)
      << message;
}

}  // namespace
}  // namespace phalanx
