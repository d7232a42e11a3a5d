#include "data/shards/dataset_reader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "data/mixture/source_loader.h"
#include "data/shards/dataset_verify.h"
#include "tests/data/shards/sample.h"

namespace phalanx {
namespace {

TEST(DatasetReader, ReadsAcrossShardsAsOneStream) {
  const Scratch scratch;
  const Sample sample(scratch / "d", 200, 40);
  const DatasetReader reader(sample.folder, {std::make_shared<FilePool>(6)});
  ASSERT_GT(reader.manifest().shards.size(), 40u);
  ASSERT_EQ(reader.num_tokens(), static_cast<int64_t>(sample.tokens.size()));
  for (int64_t begin = 0; begin < reader.num_tokens(); begin += 13) {
    const int64_t n = std::min<int64_t>(170, reader.num_tokens() - begin);
    std::vector<int32_t> tokens(static_cast<size_t>(n));
    reader.read_tokens(begin, tokens);
    const auto from = sample.tokens.begin() + begin;
    ASSERT_EQ(tokens, std::vector<int32_t>(from, from + n)) << begin;
    std::vector<int64_t> starts, numbers;
    reader.documents(begin, begin + n, starts, numbers);
    ASSERT_EQ(starts, sample.starts_in(begin, begin + n)) << begin;
    ASSERT_EQ(numbers, sample.documents_in(begin, begin + n)) << begin;
  }
}

TEST(DatasetReader, KeepsAtMostTheGivenNumberOfShardsOpen) {
  const Scratch scratch;
  const Sample sample(scratch / "d", 200, 40);
  const DatasetReader reader(sample.folder, {std::make_shared<FilePool>(6)});
  EXPECT_EQ(open_descriptors_below(scratch.folder()), 0);
  std::vector<int32_t> all(sample.tokens.size());
  reader.read_tokens(0, all);
  EXPECT_EQ(open_descriptors_below(scratch.folder()), 6);
}

TEST(DatasetReader, GivesTheSameToManyThreads) {
  const Scratch scratch;
  const Sample sample(scratch / "d", 200, 40);
  const DatasetReader reader(sample.folder, {std::make_shared<FilePool>(4)});
  std::vector<int> wrong(4, 0);
  {
    std::vector<std::jthread> threads;
    for (size_t t = 0; t < wrong.size(); ++t) {
      threads.emplace_back([&, t] {
        for (int64_t i = 0; i < 500; ++i) {
          const int64_t begin =
              (i * 97 + static_cast<int64_t>(t) * 31) % (reader.num_tokens() - 90);
          std::vector<int32_t> tokens(90);
          reader.read_tokens(begin, tokens);
          wrong[t] += !std::equal(tokens.begin(), tokens.end(), sample.tokens.begin() + begin);
        }
      });
    }
  }
  EXPECT_EQ(wrong, std::vector<int>(4, 0));
}

TEST(DatasetReader, RefusesAShardThatIsNotTheManifests) {
  const Scratch scratch;
  const Sample sample(scratch / "d", 200, 40), other(scratch / "e", 3, 40);
  for (const char* suffix : {".bin", ".idx"}) {
    std::filesystem::copy_file(other.folder / (std::string("shard-00000") + suffix),
                               sample.folder / (std::string("shard-00001") + suffix),
                               std::filesystem::copy_options::overwrite_existing);
  }
  const DatasetReader reader(sample.folder);
  reader.check_shards(0, 2);
  const auto bytes = [&](const char* file) {
    return std::to_string(std::filesystem::file_size(sample.folder / file));
  };
  const std::string found = bytes("shard-00001.bin");
  EXPECT_EQ(message_of<std::invalid_argument>([&] { reader.check_shards(1, 2); }),
            (sample.folder / "shard-00001.bin").string() + ": size: expected " +
                std::to_string(reader.manifest().shards[1].bin_bytes) +
                " bytes as dataset.json beside it says, found " + found + " bytes");
  // What the sizes do not show is seen when the shard is opened.
  EXPECT_EQ(message_of<std::invalid_argument>([&] { (void)reader.shard(1); }),
            (sample.folder / "shard-00001.idx").string() + ": tokens: expected " +
                std::to_string(reader.manifest().shards[1].num_tokens) + " as " +
                (sample.folder / "dataset.json").string() + " says, found " +
                std::to_string(other.tokens.size()));
}

TEST(DatasetReader, ReadsNothingOutsideTheStream) {
  const Scratch scratch;
  const Sample sample(scratch / "d", 5, 1000);
  const DatasetReader reader(sample.folder);
  std::vector<int32_t> tokens(2);
  EXPECT_THROW(reader.read_tokens(-1, tokens), std::logic_error);
  EXPECT_THROW(reader.read_tokens(reader.num_tokens() - 1, tokens), std::logic_error);
  EXPECT_THROW(reader.read_tokens(INT64_MAX, tokens), std::logic_error);
}

TEST(Verify, FindsNothingWrongInWhatWasJustWritten) {
  const Scratch scratch;
  const Sample sample(scratch / "d", 200, 40);
  int64_t bytes = 0;
  EXPECT_TRUE(verify_dataset(DatasetReader(sample.folder), [&](int64_t n) { bytes = n; }).empty());
  EXPECT_GT(bytes, static_cast<int64_t>(2 * sample.tokens.size()));
}

TEST(Verify, NamesEachDamagedFileAndItsFirstDamagedBlock) {
  const Scratch scratch;
  const Sample sample(scratch / "d", 200, 40);
  std::string bin = slurp(sample.folder / "shard-00002.bin");
  bin[0] ^= 1;
  spill(sample.folder / "shard-00002.bin", bin);
  std::filesystem::remove(sample.folder / "shard-00004.idx");
  std::filesystem::copy_file(sample.folder / "shard-00005.idx", sample.folder / "shard-00004.idx");
  const auto problems = verify_dataset(DatasetReader(sample.folder), {});
  ASSERT_GE(problems.size(), 2u);
  const std::string damaged = (sample.folder / "shard-00002.bin").string() + ": XXH3: expected ";
  EXPECT_EQ(problems[0].rfind(damaged, 0), 0u) << problems[0];
  EXPECT_NE(
      problems[0].find("; the first damaged block is bytes 0 to " + std::to_string(bin.size() - 1)),
      std::string::npos);
  EXPECT_EQ(problems[1].rfind((sample.folder / "shard-00004.idx").string(), 0), 0u) << problems[1];
}

TEST(Verify, ASidecarThatIsDamagedBesideAHealthyBinIsNamed) {
  const Scratch scratch;
  const Sample sample(scratch / "d", 200, 1 << 20);
  const std::string path = (sample.folder / "shard-00000.xxh3").string();
  const std::string size =
      std::to_string(std::filesystem::file_size(sample.folder / "shard-00000.bin") - 1);
  const std::string good = slurp(path);
  const auto verify = [&] { return verify_dataset(DatasetReader(sample.folder), {}); };
  std::string other = good;
  other[0] = good[0] == '0' ? '1' : '0';
  spill(path, other);
  EXPECT_EQ(verify(),
            std::vector<std::string>{path + ": line 1: expected " + good.substr(0, 16) +
                                     ", the hash of bytes 0 to " + size +
                                     " of shard-00000.bin, which is as dataset.json says, found " +
                                     other.substr(0, 16)});
  spill(path, "g" + good.substr(1));
  EXPECT_EQ(verify(),
            std::vector<std::string>{path + ": line 1: expected 16 hexadecimal digits, found \"g" +
                                     good.substr(1, 15) + "\""});
  std::filesystem::remove(path);
  EXPECT_EQ(verify(), std::vector<std::string>{
                          path + ": expected the hashes of shard-00000.bin, found no such file"});
}

TEST(Verify, ATruncatedBinIsReportedAsTheBinsDamage) {
  const Scratch scratch;
  const Sample sample(scratch / "d", 200, 1 << 20);
  const std::string path = (sample.folder / "shard-00000.bin").string();
  const std::string last = std::to_string(std::filesystem::file_size(path) - 1);
  std::filesystem::resize_file(path, 0);
  const auto problems = verify_dataset(DatasetReader(sample.folder), {});
  ASSERT_GE(problems.size(), 1u);
  EXPECT_EQ(problems[0].rfind(path + ": XXH3: expected ", 0), 0u) << problems[0];
  EXPECT_NE(problems[0].find("; the first damaged block is bytes 0 to " + last), std::string::npos)
      << problems[0];
}

TEST(Verify, FindsIdsOutsideTheVocabulary) {
  const Scratch scratch;
  const Sample sample(scratch / "d", 200, 1 << 20);
  std::string json = slurp(sample.folder / "dataset.json");
  for (const auto& [from, to] : {std::pair<std::string, std::string>{": 1000,", ": 500,"},
                                 {"\"end_of_document\": 999", "\"end_of_document\": 499"}}) {
    json.replace(json.find(from), from.size(), to);
  }
  spill(sample.folder / "dataset.json", json);
  const auto problems = verify_dataset(DatasetReader(sample.folder), {});
  ASSERT_EQ(problems.size(), 1u);
  EXPECT_EQ(problems[0], (sample.folder / "shard-00000.bin").string() +
                             ": token 0: expected an id below the vocabulary's 500, found 999");
}

std::shared_ptr<const DatasetReader> open(const Sample& sample) {
  return std::make_shared<const DatasetReader>(sample.folder);
}

TEST(SourceLoader, WindowsShareOneTokenAndMissNone) {
  const Scratch scratch;
  const Sample sample(scratch / "d", 100, 64);
  const auto n = static_cast<int64_t>(sample.tokens.size());
  for (const int64_t length : {int64_t{1}, int64_t{16}, int64_t{100}, n - 2, n - 1, n, 2 * n}) {
    const SourceLoader loader(open(sample), {.sequence_length = length});
    ASSERT_EQ(loader.num_rows(), (n - 1 + length - 1) / length);
    int64_t targets = 0;
    Row row;
    for (int64_t i = 0; i < loader.num_rows(); ++i) {
      loader.read(i, row);
      ASSERT_EQ(static_cast<int64_t>(row.tokens.size()), length + 1);
      const int64_t valid = std::min(length, n - 1 - i * length);
      ASSERT_EQ(row.num_valid_targets, valid);
      const auto from = sample.tokens.begin() + i * length;
      ASSERT_TRUE(std::equal(from, from + valid + 1, row.tokens.begin()));
      ASSERT_EQ(std::count(row.tokens.begin() + valid + 1, row.tokens.end(), kEnd), length - valid);
      const int64_t end = std::min(n, (i + 1) * length + 1);
      ASSERT_EQ(row.document_starts, sample.starts_in(i * length, end));
      ASSERT_EQ(row.documents, sample.documents_in(i * length, end));
      targets += row.num_valid_targets;
    }
    EXPECT_EQ(targets, n - 1);
  }
}

TEST(SourceLoader, AWindowBelongsToTheShardOfItsFirstToken) {
  const Scratch scratch;
  const Sample sample(scratch / "d", 100, 64);
  const auto reader = open(sample);
  for (const int64_t length : {1, 16, 100, 1000}) {
    const SourceLoader loader(reader, {.sequence_length = length});
    const std::vector<int64_t> rows = loader.shard_rows();
    ASSERT_EQ(rows.size(), reader->manifest().shards.size() + 1);
    EXPECT_EQ(rows.back(), loader.num_rows());
    for (int64_t i = 0; i < loader.num_rows(); ++i) {
      const size_t shard = reader->find(i * length).shard;
      ASSERT_LE(rows[shard], i);
      ASSERT_GT(rows[shard + 1], i);
    }
  }
}

TEST(SourceLoader, AWindowOutsideIsTheCallersBug) {
  const Scratch scratch;
  const SourceLoader loader(open(Sample(scratch / "d", 10, 64)), {.sequence_length = 8});
  Row row;
  EXPECT_THROW(loader.read(-1, row), std::logic_error);
  EXPECT_THROW(loader.read(loader.num_rows(), row), std::logic_error);
}

TEST(SourceLoader, TakesOnlyTheRangeGiven) {
  const Scratch scratch;
  const Sample sample(scratch / "d", 100, 64);
  const auto n = static_cast<int64_t>(sample.tokens.size());
  const SourceLoader loader(open(sample), {.sequence_length = 10, .first_token = n - 25});
  EXPECT_EQ(loader.num_rows(), 3);
  Row row;
  loader.read(2, row);
  EXPECT_EQ(row.num_valid_targets, 4);
  EXPECT_TRUE(std::equal(sample.tokens.end() - 5, sample.tokens.end(), row.tokens.begin()));
  EXPECT_EQ(SourceLoader(open(sample), {.sequence_length = 10, .end_token = 21}).num_rows(), 2);
}

TEST(SourceLoader, NamesShardPlaceAndIdOfATokenPastTheVocabulary) {
  const Scratch scratch;
  const Sample sample(scratch / "d", 100, 64);
  const SourceLoader loader(open(sample), {.sequence_length = 128, .vocab_size = 999});
  Row row;
  const auto reader = open(sample);
  // The first document is the end-of-document token alone.
  EXPECT_EQ(
      message_of<std::invalid_argument>([&] { loader.read(0, row); }),
      reader->bin_path(0) + ": token 0: expected an id below the vocabulary's 999, found 999");
  const auto second = std::find(sample.tokens.begin() + 128, sample.tokens.end(), kEnd);
  const TokenPlace place = reader->find(second - sample.tokens.begin());
  EXPECT_GT(place.shard, 0u);
  EXPECT_EQ(message_of<std::invalid_argument>([&] { loader.read(1, row); }),
            reader->bin_path(place.shard) + ": token " + std::to_string(place.position) +
                ": expected an id below the vocabulary's 999, found 999");
}

TEST(SourceLoader, NamesANegativeId) {
  const Scratch scratch;
  const Sample sample(scratch / "d", 20, 1 << 20, 70000);
  std::string bin = slurp(sample.folder / "shard-00000.bin");
  bin.replace(4 * 5, 4, "\xff\xff\xff\xff");
  spill(sample.folder / "shard-00000.bin", bin);
  const SourceLoader loader(open(sample), {.sequence_length = 64});
  Row row;
  EXPECT_EQ(message_of<std::invalid_argument>([&] { loader.read(0, row); }),
            (sample.folder / "shard-00000.bin").string() +
                ": token 5: expected an id below the vocabulary's 70000, found -1");
}

TEST(SourceLoader, RefusesWhatHoldsNoTarget) {
  const Scratch scratch;
  const Sample sample(scratch / "d", 1, 64);
  EXPECT_EQ(
      message_of<std::invalid_argument>(
          [&] { SourceLoader loader(open(sample), {.sequence_length = 4}); }),
      sample.folder.string() + ": expected at least 2 tokens (an input and its target), found 1");
  EXPECT_EQ(message_of<std::invalid_argument>(
                [&] { SourceLoader loader(open(sample), {.sequence_length = 4, .end_token = 5}); }),
            sample.folder.string() + ": token range: expected within [0, 1), found [0, 5)");
}

}  // namespace
}  // namespace phalanx
