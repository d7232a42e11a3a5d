#include "data/shards/pack_dataset.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <system_error>

#include "data/shards/dataset_reader.h"
#include "data/shards/dataset_verify.h"
#include "data/shards/pack_plan.h"
#include "tests/data/shards/scratch.h"

namespace phalanx {
namespace {

constexpr int32_t kEnd = 256;

/// Bytes are tokens: documents can be read back from the shards.
PackTokenizer byte_tokenizer() {
  return {.make_encoder =
              [] {
                return [](std::string_view text) {
                  std::vector<int32_t> ids;
                  for (const char c : text) ids.push_back(static_cast<unsigned char>(c));
                  return ids;
                };
              },
          .vocab_size = 257,
          .end_of_document = kEnd,
          .fingerprint = "bytes"};
}

std::vector<std::string> documents_of(const std::filesystem::path& folder) {
  const DatasetReader reader(folder);
  std::vector<int32_t> tokens(static_cast<size_t>(reader.num_tokens()));
  reader.read_tokens(0, tokens);
  std::vector<std::string> documents(1);
  for (const int32_t id : tokens) {
    if (id == kEnd) {
      documents.emplace_back();
    } else {
      documents.back() += static_cast<char>(id);
    }
  }
  EXPECT_TRUE(documents.back().empty()) << "the last document has no end";
  documents.pop_back();
  return documents;
}

std::map<std::string, std::string> bytes_of_tree(const std::filesystem::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    files[entry.path().lexically_relative(folder).string()] = slurp(entry.path());
  }
  return files;
}

class Pack : public ::testing::Test {
 protected:
  Pack() {
    std::string lines;
    for (int i = 0; i < 400; ++i) {
      const std::string text = "document " + std::to_string(i) + std::string(i % 17, '.');
      lines += "{\"text\": \"" + text + "\"}\n";
      texts_.push_back(text);
      if (i % 10 == 0) {  // duplicates, and empty documents between
        lines += "{\"text\": \"" + text + "\"}\n{\"text\": \"\"}\n";
        texts_.push_back(text);
      }
    }
    spill(scratch_ / "in/a.jsonl", lines);
    spill(scratch_ / "in/b.txt", "a text file\nof two lines");
    texts_.push_back("a text file\nof two lines");
    options_.inputs = {(scratch_ / "in").string()};
    options_.output = scratch_ / "out";
    options_.name = "sample";
    options_.seed = 7;
    options_.validation_per_mille = 100;
    options_.shard_tokens = 1000;
  }

  PackResult pack(const std::string& output) {
    options_.output = scratch_ / output;
    return pack_dataset(options_, byte_tokenizer(), {});
  }

  const Scratch scratch_;
  std::vector<std::string> texts_;
  PackOptions options_;
};

TEST_F(Pack, KeepsEveryDocumentOnceAndCountsAll) {
  const PackResult result = pack("out");
  std::vector<std::string> found = documents_of(scratch_ / "out/train");
  const std::vector<std::string> validation = documents_of(scratch_ / "out/validation");
  EXPECT_EQ(result.train.num_documents(), static_cast<int64_t>(found.size()));
  ASSERT_TRUE(result.validation.has_value());
  EXPECT_EQ(result.validation->num_documents(), static_cast<int64_t>(validation.size()));
  found.insert(found.end(), validation.begin(), validation.end());
  std::sort(found.begin(), found.end());
  std::sort(texts_.begin(), texts_.end());
  EXPECT_EQ(found, texts_);
  for (const DatasetManifest& part : {result.train, *result.validation}) {
    EXPECT_EQ(part.packing.documents_read, 400 + 80 + 1);
    EXPECT_EQ(part.packing.rejected_empty, 40);
    EXPECT_EQ(part.packing.inputs[0].num_files, 2);
    EXPECT_EQ(part.packing.inputs[0].num_documents, 481);
    for (const ShardEntry& shard : part.shards) EXPECT_LE(shard.num_tokens, 1000);
  }
  EXPECT_GT(result.train.shards.size(), 3u);
  EXPECT_EQ(manifest_json(load_manifest(scratch_ / "out/train")), manifest_json(result.train));
  EXPECT_TRUE(verify_dataset(DatasetReader(scratch_ / "out/train"), {}).empty());
  EXPECT_TRUE(verify_dataset(DatasetReader(scratch_ / "out/validation"), {}).empty());
  EXPECT_FALSE(std::filesystem::exists(scratch_ / "out.tmp"));
}

TEST_F(Pack, GivesTheSameBytesWithAnyNumberOfThreads) {
  pack("one");
  options_.num_threads = 5;
  pack("five");
  EXPECT_EQ(bytes_of_tree(scratch_ / "one"), bytes_of_tree(scratch_ / "five"));
}

TEST_F(Pack, TheSeedChangesTheOrderAndNotTheParts) {
  pack("one");
  options_.seed = 8;
  pack("two");
  for (const char* part : {"train", "validation"}) {
    std::vector<std::string> one = documents_of(scratch_ / ("one/" + std::string(part)));
    std::vector<std::string> two = documents_of(scratch_ / ("two/" + std::string(part)));
    EXPECT_NE(one, two);
    std::sort(one.begin(), one.end());
    std::sort(two.begin(), two.end());
    EXPECT_EQ(one, two);
  }
}

TEST_F(Pack, EqualTextsStayOnOneSide) {
  pack("out");
  const auto train = documents_of(scratch_ / "out/train");
  const auto validation = documents_of(scratch_ / "out/validation");
  const std::set<std::string> held_out(validation.begin(), validation.end());
  EXPECT_LT(held_out.size(), validation.size()) << "no duplicate was held out: the test is blind";
  for (const std::string& text : train) EXPECT_EQ(held_out.count(text), 0u) << text;
  EXPECT_NEAR(static_cast<double>(validation.size()), 44, 25);
}

TEST_F(Pack, WithoutAFractionThereIsNoValidationFolder) {
  options_.validation_per_mille = 0;
  EXPECT_FALSE(pack("out").validation.has_value());
  EXPECT_FALSE(std::filesystem::exists(scratch_ / "out/validation"));
}

TEST_F(Pack, AFewDocumentsStillHoldOneOut) {
  for (int i = 0; i < 3; ++i) {
    spill(scratch_ / ("few/" + std::to_string(i)), "text " + std::to_string(i));
  }
  options_.inputs = {(scratch_ / "few").string()};
  options_.validation_per_mille = 1;
  const PackResult result = pack("out");
  ASSERT_TRUE(result.validation.has_value());
  EXPECT_EQ(result.validation->num_documents(), 1);
  EXPECT_EQ(result.train.num_documents(), 2);
}

TEST_F(Pack, OneTextCannotFillTwoParts) {
  spill(scratch_ / "same/a", "x");
  spill(scratch_ / "same/b", "x");
  options_.inputs = {(scratch_ / "same").string()};
  EXPECT_EQ(message_of<std::invalid_argument>([&] { pack("out"); }),
            "input: expected different documents for training and validation, found 2 that all "
            "fall to validation at fraction 0.100");
  EXPECT_FALSE(std::filesystem::exists(scratch_ / "out"));
}

TEST_F(Pack, NoTextAtAllIsAnError) {
  spill(scratch_ / "void/a", "");
  options_.inputs = {(scratch_ / "void").string()};
  EXPECT_EQ(message_of<std::invalid_argument>([&] { pack("out"); }),
            "input: expected at least one document with text, found none");
}

TEST_F(Pack, ADocumentLongerThanAShardIsNamed) {
  options_.shard_tokens = 24;
  const std::string message = message_of<std::invalid_argument>([&] { pack("out"); });
  EXPECT_NE(message.find(": expected at most 24 tokens, the size of a shard, found "),
            std::string::npos)
      << message;
  EXPECT_FALSE(std::filesystem::exists(scratch_ / "out"));
}

TEST_F(Pack, NeverWritesIntoAFolderThatIsThere) {
  spill(scratch_ / "out/mine", "precious");
  EXPECT_EQ(message_of<std::invalid_argument>([&] { pack("out"); }),
            "output " + (scratch_ / "out").string() +
                ": expected a new folder, found one that is there already: choose another or "
                "remove it");
  EXPECT_EQ(slurp(scratch_ / "out/mine"), "precious");
}

TEST_F(Pack, AFileThatChangesBetweenTheTwoReadingsIsNoticed) {
  options_.num_threads = 2;
  PackTokenizer tokenizer = byte_tokenizer();
  tokenizer.make_encoder = [this, make = byte_tokenizer().make_encoder] {
    spill(scratch_ / "in/b.txt", "another text\nof the length");  // longer: still readable
    return make();
  };
  EXPECT_EQ(message_of<std::invalid_argument>([&] { pack_dataset(options_, tokenizer, {}); }),
            (scratch_ / "in/b.txt").string() +
                ": expected the text read before, found another: the file was changed while it "
                "was packed");
}

TEST_F(Pack, ReportsProgressUpToTheLastDocument) {
  PackProgress last;
  pack_dataset(options_, byte_tokenizer(), [&](const PackProgress& p) { last = p; });
  EXPECT_EQ(last.stage, PackProgress::Stage::kTokenizing);
  EXPECT_EQ(last.documents, 441);
  EXPECT_EQ(last.documents_total, 441);
}

TEST(PackPlan, OrderIsTheDocumentedHash) {
  std::vector<PlannedDocument> documents(5);
  for (uint64_t i = 0; i < 5; ++i) documents[i] = {{}, i * 1000 + 999, i};
  const PackPlan plan = plan_packing(documents, 3, 0);
  std::vector<std::pair<uint64_t, uint64_t>> expected;
  for (uint64_t i = 0; i < 5; ++i) {
    expected.emplace_back(xxh3(std::as_bytes(std::span(&i, 1)), 3), i);
  }
  std::sort(expected.begin(), expected.end());
  ASSERT_EQ(plan.train.size(), 5u);
  for (size_t i = 0; i < 5; ++i) EXPECT_EQ(plan.train[i].ordinal, expected[i].second);
}

}  // namespace
}  // namespace phalanx
