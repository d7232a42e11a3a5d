#include "data/mixture/masked_documents.h"

#include <gtest/gtest.h>

#include "data/mixture/batch.h"
#include "data/mixture/bin_loader.h"
#include "tests/data/shards/sample.h"

namespace phalanx {
namespace {

TEST(MaskedDocuments, AListIsOneNumberALineWithComments) {
  const Scratch scratch;
  spill(scratch / "list", "# seen in a benchmark\n7\n\n  3  # twice\r\n7\n12");
  EXPECT_EQ(*read_masked_documents(scratch / "list", 13), (MaskedDocuments{3, 7, 7, 12}));
  const MaskedDocuments same{3, 7, 12}, other{3, 7, 11};
  EXPECT_EQ(hash_of(*read_masked_documents(scratch / "list", 13)), hash_of(same));
  EXPECT_NE(hash_of(same), hash_of(other));
  EXPECT_EQ(hash_of({}), "2d06800538d394c2");  // XXH3-64 of nothing
  spill(scratch / "list", "");
  EXPECT_TRUE(read_masked_documents(scratch / "list", 13)->empty());
}

TEST(MaskedDocuments, ABadLineAndANumberPastTheDataSetAreNamed) {
  const Scratch scratch;
  const std::string path = (scratch / "list").string();
  for (const char* bad : {"x", "-1", "3 4", "13", "99999999999999999999", "1.5", "0x3"}) {
    spill(scratch / "list", "# first\n2\n" + std::string(bad) + "\n");
    EXPECT_EQ(message_of<std::invalid_argument>(
                  [&] { (void)read_masked_documents(scratch / "list", 13); }),
              path + ": line 3: expected the number of a document, 0 to 12, found \"" + bad + "\"");
  }
  std::filesystem::remove(scratch / "list");
  EXPECT_THROW((void)read_masked_documents(scratch / "list", 13), std::system_error);
}

/// The document of each position of the data set.
std::vector<int64_t> document_of_token(const Sample& sample) {
  std::vector<int64_t> documents(sample.tokens.size());
  for (size_t d = 0; d < sample.starts.size(); ++d) {
    for (auto i = static_cast<size_t>(sample.starts[d]); i < documents.size(); ++i) {
      documents[i] = static_cast<int64_t>(d);
    }
  }
  return documents;
}

TEST(MaskedDocuments, WindowsIgnoreTheTargetsThatLieInThemAndNothingElseChanges) {
  const Scratch scratch;
  const Sample sample(scratch / "d", 150, 200);
  const std::vector<int64_t> document = document_of_token(sample);
  auto reader = std::make_shared<const DatasetReader>(sample.folder);
  const auto masked = std::make_shared<MaskedDocuments>(MaskedDocuments{0, 5, 6, 40, 77, 149});
  for (const bool document_mask : {false, true}) {
    for (const int64_t length : {1, 3, 16, 100}) {
      const SourceLoader plain(reader, {.sequence_length = length});
      SourceLoaderConfig config{.sequence_length = length};
      config.masked = masked;
      const SourceLoader loader(reader, config);
      ASSERT_EQ(loader.num_rows(), plain.num_rows());
      for (int64_t i = 0; i < loader.num_rows(); ++i) {
        Row row, other;
        loader.read(i, row);
        plain.read(i, other);
        ASSERT_EQ(row.tokens, other.tokens);
        ASSERT_EQ(row.documents, other.documents);
        ASSERT_EQ(row.document_starts, other.document_starts);
        Batch batch = make_batch(1, length), before = make_batch(1, length);
        put_row(row, 0, 0, document_mask, batch);
        put_row(other, 0, 0, document_mask, before);
        ASSERT_EQ(batch.documents_R[0], row.documents);
        int64_t valid = 0;
        for (int64_t t = 0; t < length; ++t) {
          const auto target = static_cast<size_t>(i * length + t + 1);
          const bool hidden = target < document.size() &&
                              std::binary_search(masked->begin(), masked->end(), document[target]);
          const bool expected = before.loss_mask_RT.const_data_ptr<bool>()[t] && !hidden;
          ASSERT_EQ(batch.loss_mask_RT.const_data_ptr<bool>()[t], expected) << i << " " << t;
          valid += expected;
        }
        ASSERT_EQ(batch.num_valid_targets, valid);
      }
    }
  }
}

TEST(MaskedDocuments, BinsIgnoreTheTargetsThatLieInThem) {
  const Scratch scratch;
  const Sample sample(scratch / "d", 150, 200, 1000, {10});
  auto reader = std::make_shared<const DatasetReader>(sample.folder);
  SourceLoaderConfig config{.sequence_length = 10};
  const BinLoader plain(reader, config);
  const MaskedDocuments list{0, 5, 6, 40, 77, 149};
  config.masked = std::make_shared<MaskedDocuments>(list);
  const BinLoader loader(reader, config);
  int64_t hidden = 0, expected = 0;
  for (int64_t i = 0; i < loader.num_rows(); ++i) {
    Row row, other;
    loader.read(i, row);
    plain.read(i, other);
    ASSERT_EQ(row.tokens, other.tokens);
    Batch batch = make_batch(1, 10), before = make_batch(1, 10);
    put_row(row, 0, 0, true, batch);
    put_row(other, 0, 0, true, before);
    hidden += before.num_valid_targets - batch.num_valid_targets;
  }
  for (const int64_t d : list) {
    const auto next = static_cast<size_t>(d) + 1;
    const int64_t end = next < sample.starts.size() ? sample.starts[next]
                                                    : static_cast<int64_t>(sample.tokens.size());
    expected += end - sample.starts[static_cast<size_t>(d)] - 1;
  }
  EXPECT_EQ(hidden, expected);
  EXPECT_GT(hidden, 10);
}

}  // namespace
}  // namespace phalanx
