// What is opened, and how many descriptors stay open: open(2) goes through this test.
#include <gtest/gtest.h>

#include <future>

#include "data/mixture/bin_loader.h"
#include "data/mixture/keyed_permutation.h"
#include "tests/data/shards/counted_opens.h"
#include "tests/data/shards/sample.h"

namespace phalanx {
namespace {

using testing::num_opens;
using testing::on_open;

/// The folder of a data set of `num_shards` equal shards: links to the files of one.
std::filesystem::path many_shards(const Sample& one, const std::filesystem::path& folder,
                                  size_t num_shards) {
  DatasetManifest manifest = load_manifest(one.folder);
  const ShardEntry entry = manifest.shards.at(0);
  manifest.shards.clear();
  make_folders(folder);
  for (size_t i = 0; i < num_shards; ++i) {
    manifest.shards.push_back(entry);
    manifest.shards.back().file = "shard-" + std::to_string(i);
    for (const char* suffix : {".bin", ".idx", ".xxh3", ".bins-8"}) {
      std::filesystem::create_hard_link(one.folder / (entry.file + suffix),
                                        folder / (manifest.shards.back().file + suffix));
    }
  }
  manifest.packing.documents_read = manifest.num_documents();
  commit_file(folder / kManifestName, manifest_json(manifest));
  return folder;
}

TEST(OpenFiles, FiftySourcesOfTwoHundredShardsOpenManifestsOnlyAndStayUnderOneBound) {
  const Scratch scratch;
  const Sample one(scratch / "one", 40, 1000, 1000, {8});
  std::vector<std::filesystem::path> folders;
  for (int k = 0; k < 50; ++k) {
    folders.push_back(many_shards(one, scratch / ("source-" + std::to_string(k)), 200));
  }
  const auto files = std::make_shared<FilePool>(60);
  std::vector<std::shared_ptr<const RowSource>> sources;
  const int64_t before = num_opens;
  for (size_t k = 0; k < folders.size(); ++k) {
    auto reader = std::make_shared<const DatasetReader>(folders[k], ReaderOptions{files});
    reader->check_shards(0, 1);
    if (k % 2 == 0) {
      sources.push_back(std::make_shared<SourceLoader>(reader, SourceLoaderConfig{8}));
    } else {
      sources.push_back(std::make_shared<BinLoader>(reader, SourceLoaderConfig{8}));
    }
  }
  EXPECT_EQ(num_opens - before, 50);  // a dataset.json each
  EXPECT_EQ(open_descriptors_below(scratch.folder()), 0);
  Row row;
  int64_t most = 0;
  for (int64_t i = 0; i < 20; ++i) {
    for (size_t k = 0; k < sources.size(); ++k) {
      const auto rows = static_cast<uint64_t>(sources[k]->num_rows());
      sources[k]->read(static_cast<int64_t>(mix_bits(static_cast<uint64_t>(i) * 50 + k) % rows),
                       row);
    }
    most = std::max(most, open_descriptors_below(scratch.folder()));
  }
  EXPECT_LE(most, 60);
  EXPECT_GT(most, 50);
}

TEST(OpenFiles, WhatWasUsedLastStaysOpen) {
  FilePool pool(4);
  const uint64_t user = pool.new_user(), other = pool.new_user();
  int opened = 0;
  const auto get = [&](uint64_t who, size_t index) {
    (void)pool.get<int>(who, index, 2, [&] { return std::make_shared<const int>(++opened); });
    return opened;
  };
  EXPECT_EQ(get(user, 1), 1);
  EXPECT_EQ(get(other, 1), 2);
  EXPECT_EQ(get(user, 1), 2);
  EXPECT_EQ(get(user, 2), 3);  // closes (other, 1)
  EXPECT_EQ(get(user, 1), 3);
  EXPECT_EQ(get(other, 1), 4);
}

TEST(OpenFiles, AFailedOpeningLeavesNothing) {
  FilePool pool(4);
  const uint64_t user = pool.new_user();
  const std::function<std::shared_ptr<const int>()> fail = [] {
    throw std::runtime_error("gone");
    return std::shared_ptr<const int>();
  };
  EXPECT_THROW((void)pool.get<int>(user, 1, 2, fail), std::runtime_error);
  EXPECT_EQ(*pool.get<int>(user, 1, 2, [] { return std::make_shared<const int>(7); }), 7);
}

TEST(OpenFiles, WhatWasVerifiedIsNotReadAgainWhenItIsReopened) {
  const Scratch scratch;
  const Sample one(scratch / "one", 40, 1000, 1000, {8});
  const std::filesystem::path folder = many_shards(one, scratch / "many", 5);
  const auto opens = [&](bool verify) {
    const ReaderOptions options{std::make_shared<FilePool>(2), verify};
    const BinLoader loader(std::make_shared<const DatasetReader>(folder, options), {8});
    const int64_t rows = loader.num_rows(), before = num_opens;
    Row row;
    for (int64_t i = 0; i < 4 * rows; ++i) loader.read(i * (rows / 5 + 1) % rows, row);
    return num_opens - before;
  };
  const int64_t plain = opens(false);
  EXPECT_GT(plain, 1000);                 // nearly all rows reopen their shard
  EXPECT_EQ(opens(true) - plain, 5 * 3);  // of each shard the index, the hashes and the bins
}

TEST(OpenFiles, OthersOpenFilesWhileOneIsVerified) {
  const Scratch scratch;
  const Sample sample(scratch / "d", 40, 1000, 1000, {8});
  for (const std::string suffix : {".idx", ".bins-8"}) {
    const auto files = std::make_shared<FilePool>();
    const uint64_t user = files->new_user();
    const BinLoader loader(
        std::make_shared<const DatasetReader>(sample.folder, ReaderOptions{files, true}), {8});
    int times = 0;
    std::future<void> other;
    bool free = false;
    on_open = [&](const std::string& path) {
      if (!path.ends_with(suffix) || ++times != 2) return;  // the second opening is for the hash
      other = std::async(std::launch::async, [&] {
        (void)files->get<int>(user, 0, 1, [] { return std::make_shared<const int>(1); });
      });
      free = other.wait_for(std::chrono::seconds(20)) == std::future_status::ready;
    };
    Row row;
    loader.read(0, row);
    on_open = nullptr;
    EXPECT_TRUE(free) << suffix;
  }
}

class VerifyWhileReading : public ::testing::Test {
 protected:
  VerifyWhileReading() : sample_(scratch_ / "d", 200, 4000, 1000, {8}) {}
  std::shared_ptr<const DatasetReader> open(bool verify) const {
    return std::make_shared<const DatasetReader>(sample_.folder, ReaderOptions{nullptr, verify});
  }
  std::string path(const char* suffix) const {
    return (sample_.folder / "shard-00000").string() + suffix;
  }
  void damage(const std::string& file, size_t at) const {
    std::string bytes = slurp(file);
    bytes[at] ^= 1;
    std::filesystem::remove(file);
    spill(file, bytes);
  }

  const Scratch scratch_;
  const Sample sample_;
};

TEST_F(VerifyWhileReading, AChangedBlockIsNamedBeforeItsTokensAreUsed) {
  Row row;
  SourceLoader(open(true), {.sequence_length = 16}).read(0, row);
  const std::string expected = slurp(path(".xxh3")).substr(0, 16);
  damage(path(".bin"), 100);
  SourceLoader(open(false), {.sequence_length = 16}).read(0, row);  // not asked to look
  const std::string size = std::to_string(std::filesystem::file_size(path(".bin")) - 1);
  const auto check = [&](const RowSource& rows) {
    EXPECT_EQ(message_of<std::invalid_argument>([&] { rows.read(0, row); }),
              path(".bin") + ": block 0, bytes 0 to " + size + ": XXH3: expected " + expected +
                  " as its .xxh3 says, found " + hash_text(hash_file(path(".bin"))) +
                  ": one of the two files is damaged; `phalanx data inspect " +
                  sample_.folder.string() + " --verify` says which");
  };
  check(SourceLoader(open(true), {.sequence_length = 16}));
  check(BinLoader(open(true), {.sequence_length = 8}));
}

TEST_F(VerifyWhileReading, AChangedIndexIsNamed) {
  const std::string expected = hash_text(hash_file(path(".idx")));
  damage(path(".idx"), 40);
  Row row;
  EXPECT_EQ(message_of<std::invalid_argument>(
                [&] { SourceLoader(open(true), {.sequence_length = 16}).read(0, row); }),
            path(".idx") + ": XXH3: expected " + expected + " as " +
                (sample_.folder / "dataset.json").string() + " says, found " +
                hash_text(hash_file(path(".idx"))) + ": the file changed since it was written");
}

TEST_F(VerifyWhileReading, AMissingOrBrokenSidecarIsAnError) {
  const std::string good = slurp(path(".xxh3"));
  Row row;
  const auto read = [&] { SourceLoader(open(true), {.sequence_length = 16}).read(0, row); };
  spill(path(".xxh3"), good.substr(1));
  EXPECT_EQ(message_of<std::invalid_argument>(read).rfind(path(".xxh3") + ": size: expected 17", 0),
            0u);
  spill(path(".xxh3"), "g" + good.substr(1));
  EXPECT_EQ(message_of<std::invalid_argument>(read),
            path(".xxh3") + ": line 1: expected 16 hexadecimal digits, found \"g" +
                good.substr(1, 15) + "\"");
  std::filesystem::remove(path(".xxh3"));
  open(false)->check_shards(0, 1);
  EXPECT_EQ(message_of<std::invalid_argument>([&] { open(true)->check_shards(0, 1); }),
            path(".xxh3") +
                ": expected the hashes of shard-00000.bin, which data.verify compares, found no "
                "such file: pack the data again, or say data.verify: false");
}

TEST_F(VerifyWhileReading, ASizeThatChangedIsFoundAtStartWithoutTheOption) {
  std::filesystem::resize_file(path(".idx"), std::filesystem::file_size(path(".idx")) - 8);
  EXPECT_EQ(message_of<std::invalid_argument>([&] {
              open(false)->check_shards(0, 1);
            }).rfind(path(".idx") + ": size: expected ", 0),
            0u);
  std::filesystem::remove(path(".bin"));
  EXPECT_EQ(message_of<std::system_error>([&] { open(false)->check_shards(0, 1); }),
            "stat " + path(".bin") + ": No such file or directory");
}

}  // namespace
}  // namespace phalanx
