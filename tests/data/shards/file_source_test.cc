// Readers over files that are not in a folder of their own: what they hold, and
// that they read the same.
#include "data/shards/file_source.h"

#include <gtest/gtest.h>

#include <mutex>
#include <set>

#include "data/mixture/bin_loader.h"
#include "data/mixture/source_loader.h"
#include "tests/data/shards/sample.h"

namespace phalanx {
namespace {

/// Gives copies of a folder's files, the beginnings of some, and keeps what it
/// was asked for.
class CopiedFiles : public FileSource {
 public:
  CopiedFiles(const std::filesystem::path& folder, const std::filesystem::path& copies)
      : folder_(folder), copies_(copies), name_("store://" + folder.filename().string()) {
    std::filesystem::create_directories(copies);
  }
  const std::string& name() const override { return name_; }
  std::string read_text(const std::string& file, int64_t max_bytes) const override {
    return phalanx::read_text(folder_ / file, max_bytes);
  }
  HeldFile hold(const DatasetFile& file) const override {
    std::string bytes = slurp(folder_ / file.name);
    EXPECT_EQ(static_cast<int64_t>(bytes.size()), file.head_of > 0 ? file.head_of : file.bytes);
    bytes.resize(static_cast<size_t>(file.bytes));
    EXPECT_EQ(xxh3(bytes), file.xxh3) << file.name;
    const std::string name = file.name + (file.head_of > 0 ? ".head" : "");
    spill(copies_ / name, bytes);
    const std::lock_guard lock(mutex_);
    held.insert(name);
    return {copies_ / name};
  }
  void check(const DatasetFile&) const override {}
  void expect(const std::vector<DatasetFile>& files) const override {
    expected.clear();
    for (const DatasetFile& file : files) {
      expected.push_back(file.name + (file.head_of > 0 ? ".head" : ""));
    }
  }
  mutable std::set<std::string> held;
  mutable std::vector<std::string> expected;

 private:
  std::filesystem::path folder_, copies_;
  std::string name_;
  mutable std::mutex mutex_;
};

/// A data set of three shards, each longer than a head.
std::filesystem::path make_long_shards(const Scratch& scratch) {
  DatasetManifest manifest;
  manifest.name = "long";
  manifest.vocab_size = 1000;
  manifest.end_of_document = kEnd;
  manifest.token_type = TokenType::kUint16;
  manifest.packing.part = "train";
  constexpr int kDocuments = 30, kLength = 60'000;
  manifest.packing.documents_read = kDocuments;
  PartWriter writer(scratch / "long", manifest, 10 * kLength);
  for (int i = 0; i < kDocuments; ++i) {
    std::vector<int32_t> document(kLength, kEnd);
    for (int k = 0; k + 1 < kLength; ++k)
      document[static_cast<size_t>(k)] = (i * 31 + k * 7) % kEnd;
    writer.add_document("document", 1, document);
  }
  (void)writer.finish();
  return scratch / "long";
}

Row row_of(const RowSource& source, int64_t window) {
  Row row;
  source.read(window, row);
  return row;
}

void expect_equal(const Row& a, const Row& b) {
  EXPECT_EQ(a.tokens, b.tokens);
  EXPECT_EQ(a.document_starts, b.document_starts);
  EXPECT_EQ(a.documents, b.documents);
}

class FileSourceTest : public testing::Test {
 protected:
  std::shared_ptr<const DatasetReader> reader_of(const std::filesystem::path& folder) {
    files_ = std::make_shared<CopiedFiles>(folder, scratch_ / "copies");
    return std::make_shared<const DatasetReader>(files_, ReaderOptions{});
  }
  Scratch scratch_;
  std::shared_ptr<CopiedFiles> files_;
};

TEST_F(FileSourceTest, AWindowThatEndsInTheNextShardReadsItsBeginningOnly) {
  const std::filesystem::path folder = make_long_shards(scratch_);
  const SourceLoader local(std::make_shared<const DatasetReader>(folder), {7000});
  const SourceLoader fetched(reader_of(folder), {7000});
  const std::vector<int64_t> begins = fetched.shard_rows();
  fetched.expect({0});
  EXPECT_EQ(files_->expected,
            (std::vector<std::string>{"shard-00000.bin", "shard-00000.idx", "shard-00001.bin.head",
                                      "shard-00001.idx"}));
  const int64_t last = begins[1] - 1;  // of the first shard
  expect_equal(row_of(fetched, last), row_of(local, last));
  EXPECT_EQ(files_->held, (std::set<std::string>{"shard-00000.bin", "shard-00000.idx",
                                                 "shard-00001.bin.head", "shard-00001.idx"}));
  // What was not expected is read all the same, whole.
  for (const int64_t window : {begins[1] + 80, begins[2], begins[3] - 1}) {
    expect_equal(row_of(fetched, window), row_of(local, window));
  }
  EXPECT_TRUE(files_->held.contains("shard-00001.bin"));
}

TEST_F(FileSourceTest, WithoutTheHashOfABeginningTheWholeShardIsRead) {
  const std::filesystem::path folder = make_long_shards(scratch_);
  DatasetManifest manifest = load_manifest(folder);
  for (ShardEntry& shard : manifest.shards) shard.head_xxh3.reset();
  commit_file(folder / kManifestName, manifest_json(manifest));
  const SourceLoader fetched(reader_of(folder), {7000});
  fetched.expect({0});
  EXPECT_EQ(files_->expected[2], "shard-00001.bin");
  (void)row_of(fetched, fetched.shard_rows()[1] - 1);
  EXPECT_TRUE(files_->held.contains("shard-00001.bin"));
}

TEST_F(FileSourceTest, BinsComeWithTheirShards) {
  const Sample sample(scratch_ / "binned", 200, 150, 1000, {8});
  const BinLoader local(std::make_shared<const DatasetReader>(sample.folder), {8});
  const BinLoader fetched(reader_of(sample.folder), {8});
  fetched.expect({2, 0});
  EXPECT_EQ(files_->expected,
            (std::vector<std::string>{"shard-00002.bin", "shard-00002.idx", "shard-00002.bins-8",
                                      "shard-00000.bin", "shard-00000.idx", "shard-00000.bins-8"}));
  for (int64_t row = 0; row < local.num_rows(); ++row) {
    expect_equal(row_of(fetched, row), row_of(local, row));
  }
}

TEST_F(FileSourceTest, WhatAStoreMustKnowIsAskedOfTheManifest) {
  const Sample sample(scratch_ / "old", 20, 150);
  DatasetManifest manifest = load_manifest(sample.folder);
  for (ShardEntry& shard : manifest.shards) shard.idx_bytes = 0;
  commit_file(sample.folder / kManifestName, manifest_json(manifest));
  const auto reader = reader_of(sample.folder);
  EXPECT_NE(message_of<std::invalid_argument>([&] {
              (void)reader->shard(0);
            }).find("store://old/dataset.json: expected the size of shard-00000.idx"),
            std::string::npos);
}

}  // namespace
}  // namespace phalanx
