#include "data/shards/best_fit_bins.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <set>

#include "data/mixture/keyed_permutation.h"
#include "data/shards/bins_file.h"
#include "data/shards/dataset_verify.h"
#include "tests/data/shards/sample.h"

namespace phalanx {
namespace {

std::vector<int64_t> starts_of(const std::vector<int64_t>& lengths) {
  std::vector<int64_t> starts = {0};
  for (const int64_t length : lengths) starts.push_back(starts.back() + length);
  return starts;
}

/// Lengths as those of web pages: log-normal around 700 tokens, with a long tail.
std::vector<int64_t> realistic_lengths(size_t count, uint64_t seed) {
  std::vector<int64_t> lengths;
  for (size_t i = 0; i < count; ++i) {
    double sum = -6.0;  // of twelve uniform draws: nearly normal
    for (uint64_t k = 0; k < 12; ++k) {
      sum += static_cast<double>(mix_bits(seed * 1'000'003 + i * 12 + k) >> 11) * 0x1p-53;
    }
    lengths.push_back(std::max<int64_t>(2, std::llround(700.0 * std::exp(1.1 * sum))));
  }
  return lengths;
}

int64_t tokens_in(const Bins& bins, int64_t bin) {
  int64_t sum = 0;
  for (int64_t i = bins.first_piece[bin]; i < bins.first_piece[bin + 1]; ++i) {
    sum += bins.pieces[i].length;
  }
  return sum;
}

TEST(BestFitBins, EveryTokenButTheFirstOfADocumentIsTheTargetOfOnePieceAndNoBinIsOverfull) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    const auto length = static_cast<int64_t>(1 + mix_bits(seed) % 40);
    std::vector<int64_t> lengths;
    for (uint64_t i = 0; i < 1 + mix_bits(seed + 1000) % 200; ++i) {
      lengths.push_back(static_cast<int64_t>(mix_bits(seed * 4096 + i) % 120));
    }
    const std::vector<int64_t> starts = starts_of(lengths);
    const Bins bins = best_fit_bins(starts, 5, length);
    std::vector<int> targets(static_cast<size_t>(starts.back()), 0);
    for (const BinPiece& piece : bins.pieces) {
      const auto d = static_cast<size_t>(piece.document - 5);
      ASSERT_GE(piece.length, 2);
      ASSERT_GE(piece.begin, starts[d]);
      ASSERT_LE(piece.begin + piece.length, starts[d + 1]);
      for (int64_t t = piece.begin + 1; t < piece.begin + piece.length; ++t) ++targets[t];
    }
    std::vector<int> expected(targets.size(), 1);
    for (size_t d = 0; d < lengths.size(); ++d) {
      if (lengths[d] > 0) expected[static_cast<size_t>(starts[d])] = 0;
    }
    ASSERT_EQ(targets, expected) << "seed " << seed;
    for (int64_t bin = 0; bin < bins.num_bins(); ++bin) {
      ASSERT_LE(tokens_in(bins, bin), length + 1);
      for (int64_t i = bins.first_piece[bin] + 1; i < bins.first_piece[bin + 1]; ++i) {
        ASSERT_LT(bins.pieces[i - 1].begin, bins.pieces[i].begin);
      }
    }
    ASSERT_EQ(bins.first_piece.back(), static_cast<int64_t>(bins.pieces.size()));
  }
}

// Worked by hand: T = 9, so bins of 10. The document of 24 is cut into 10, 10 and 6 (18..23). Then
// by length: 10, 10, 8, 6, 5, 4, 3: 8 opens a bin, 6 a bin, 5 a bin; 4 fills the bin of 6; 3 goes
// to the bin of 5, since that of 8 has room for 2 only.
TEST(BestFitBins, AWorkedExample) {
  const Bins bins = best_fit_bins(starts_of({5, 24, 4, 8, 3}), 0, 9);
  const std::vector<BinPiece> pieces = {{5, 10, 1}, {14, 10, 1}, {33, 8, 3}, {23, 6, 1},
                                        {29, 4, 2}, {0, 5, 0},   {41, 3, 4}};
  EXPECT_EQ(bins.pieces, pieces);
  EXPECT_EQ(bins.first_piece, (std::vector<int64_t>{0, 1, 2, 3, 5, 7}));
}

struct Padding {
  double best_fit, first_fit, one_each;
};

Padding padding_of(const std::vector<int64_t>& lengths, int64_t length) {
  const Bins bins = best_fit_bins(starts_of(lengths), 0, length);
  int64_t tokens = 0;
  for (const BinPiece& piece : bins.pieces) tokens += piece.length;
  std::vector<int64_t> rooms;  // first fit, in the order of the documents
  for (const int64_t document : lengths) {
    for (int64_t begin = 0; begin + 1 < document; begin += length) {
      const int64_t piece = std::min(length + 1, document - begin);
      const auto room =
          std::find_if(rooms.begin(), rooms.end(), [&](int64_t free) { return free >= piece; });
      if (room == rooms.end()) {
        rooms.push_back(length + 1 - piece);
      } else {
        *room -= piece;
      }
    }
  }
  const auto share = [&](size_t rows) {
    return 1.0 - static_cast<double>(tokens) / static_cast<double>(rows * size_t(length + 1));
  };
  return {share(static_cast<size_t>(bins.num_bins())), share(rooms.size()),
          share(bins.pieces.size())};
}

TEST(BestFitBins, PadLessThanFirstFitAndFarLessThanADocumentARow) {
  for (const int64_t length : {512, 4096}) {
    const Padding padding = padding_of(realistic_lengths(6000, 7), length);
    RecordProperty("padding_per_million_best_fit_" + std::to_string(length),
                   static_cast<int>(padding.best_fit * 1e6));
    RecordProperty("padding_per_million_first_fit_" + std::to_string(length),
                   static_cast<int>(padding.first_fit * 1e6));
    EXPECT_LT(padding.best_fit, padding.first_fit);
    EXPECT_LT(padding.best_fit, 0.005);
    EXPECT_LT(padding.best_fit, padding.one_each / 20);
  }
}

TEST(BestFitBins, AreTheSameEveryTimeAndAGroupDoesNotDependOnTheOthers) {
  const Scratch scratch;
  const auto lengths = realistic_lengths(2000, 3);
  const Bins one = best_fit_bins(starts_of(lengths), 0, 512);
  EXPECT_EQ(one.pieces, best_fit_bins(starts_of(lengths), 0, 512).pieces);
  // A shard of more documents than a group: its bins are those of the groups, one after another.
  ShardWriter writer(scratch / "s", TokenType::kUint16);
  const int64_t num_documents = kBinGroupDocuments + 500;
  std::vector<int64_t> all;
  for (int64_t d = 0; d < num_documents; ++d) {
    all.push_back(static_cast<int64_t>(1 + mix_bits(static_cast<uint64_t>(d)) % 30));
    writer.add_document(std::vector<int32_t>(static_cast<size_t>(all.back()), 1));
  }
  const WrittenShard written = writer.finish();
  const auto entries = write_bins(scratch / "s", {40});
  ShardEntry entry{"s", written.num_tokens, written.num_documents};
  const BinsFile file(bins_path(scratch / "s", 40), 40, entry);
  ASSERT_EQ(entries.size(), 1u);
  ASSERT_EQ(entries[0].num_bins, file.num_bins());
  const std::vector<int64_t> starts = starts_of(all);
  const auto split = static_cast<size_t>(kBinGroupDocuments);
  const Bins first = best_fit_bins(std::span(starts).first(split + 1), 0, 40);
  const Bins second = best_fit_bins(std::span(starts).subspan(split), kBinGroupDocuments, 40);
  ASSERT_EQ(file.num_bins(), first.num_bins() + second.num_bins());
  std::vector<BinPiece> pieces;
  for (int64_t bin = 0; bin < file.num_bins(); ++bin) {
    const bool in_first = bin < first.num_bins();
    const Bins& bins = in_first ? first : second;
    const int64_t local = in_first ? bin : bin - first.num_bins();
    file.read(bin, pieces);
    ASSERT_EQ(pieces, std::vector<BinPiece>(bins.pieces.begin() + bins.first_piece[local],
                                            bins.pieces.begin() + bins.first_piece[local + 1]));
  }
}

/// A good file of bins that one case damages; every message is compared whole.
class BadBins : public ::testing::Test {
 protected:
  BadBins() : sample_(scratch_ / "d", 6, 1000, 1000, {8}) { bytes_ = slurp(path()); }
  std::filesystem::path path() const { return sample_.folder / "shard-00000.bins-8"; }
  std::string message(const std::string& bytes, bool read = false) const {
    spill(path(), bytes);
    return message_of<std::invalid_argument>([&] {
      const DatasetManifest manifest = load_manifest(sample_.folder);
      const BinsFile file(bins_path(sample_.folder / "shard-00000", 8), 8, manifest.shards[0]);
      std::vector<BinPiece> pieces;
      if (read) file.read(0, pieces);
    });
  }
  std::string with(size_t offset, int64_t value, size_t width = 8) const {
    std::string bytes = bytes_;
    std::memcpy(bytes.data() + offset, &value, width);
    return bytes;
  }
  std::string at(const std::string& rest) const { return path().string() + rest; }

  const Scratch scratch_;
  const Sample sample_;
  std::string bytes_;
};

TEST_F(BadBins, HeaderAndSize) {
  EXPECT_EQ(message(bytes_.substr(0, 55)),
            at(": size: expected at least 56 bytes, found 55 bytes"));
  EXPECT_EQ(message(with(0, 0)), at(": first 8 bytes: expected PHXBINS\\0, found something else"));
  EXPECT_EQ(message(with(8, 2)), at(": version: expected 1, found 2"));
  EXPECT_EQ(message(with(16, 9)), at(": sequence length: expected 8, found 9"));
  const std::string tokens = std::to_string(sample_.tokens.size());
  EXPECT_EQ(message(with(24, 7)), at(": tokens of the shard: expected " + tokens + ", found 7"));
  EXPECT_EQ(message(bytes_ + "12345678").substr(0, at(": ").size()), at(": "));
  EXPECT_EQ(message(with(bytes_.size() - 16, INT64_MAX)).substr(0, at(": counts").size()),
            at(": counts"));
  EXPECT_EQ(message(with(bytes_.size() - 8, -1)).substr(0, at(": counts").size()), at(": counts"));
  EXPECT_EQ(message(with(bytes_.size() - 8, 1)).substr(0, at(": size: ").size()), at(": size: "));
}

TEST_F(BadBins, EntriesAreCheckedWhenUsed) {
  const std::string rest =
      ": bin 0: expected pieces in order, of 2 tokens or more, inside the shard's " +
      std::to_string(sample_.tokens.size()) + " tokens and 6 documents, together at most 9 tokens";
  for (const int64_t length : {1, 0, -5, 10, 1'000'000'000}) {
    EXPECT_EQ(message(with(32 + 8, length, 4), true).rfind(at(rest), 0), 0u) << length;
  }
  EXPECT_EQ(message(with(32, -1), true).rfind(at(rest), 0), 0u);
  EXPECT_EQ(message(with(32, INT64_MAX), true).rfind(at(rest), 0), 0u);
  EXPECT_EQ(message(with(32 + 12, 6, 4), true).rfind(at(rest), 0), 0u);
  int64_t counts[2];
  std::memcpy(counts, bytes_.data() + bytes_.size() - 16, 16);
  const size_t first_piece = 32 + 16 * static_cast<size_t>(counts[0]);
  const std::string pieces = ": bin 0: expected pieces of the " + std::to_string(counts[0]);
  EXPECT_EQ(message(with(first_piece + 8, 0), true), at(pieces + ", found [0, 0)"));
  EXPECT_EQ(message(with(first_piece + 8, 1 << 30), true), at(pieces + ", found [0, 1073741824)"));
  EXPECT_EQ(message(with(first_piece, -1), true).rfind(at(pieces), 0), 0u);
}

TEST_F(BadBins, VerifyReportsThem) {
  EXPECT_TRUE(verify_dataset(DatasetReader(sample_.folder), {}).empty());
  spill(path(), with(32 + 12, 5, 4));  // another document, which only the hash tells
  const auto problems = verify_dataset(DatasetReader(sample_.folder), {});
  ASSERT_EQ(problems.size(), 1u);
  EXPECT_EQ(problems[0].rfind(at(": XXH3: expected "), 0), 0u) << problems[0];
  std::filesystem::remove(path());
  EXPECT_THROW((void)verify_dataset(DatasetReader(sample_.folder), {}), std::system_error);
}

}  // namespace
}  // namespace phalanx
