#include "data/shards/shard_file.h"

#include <gtest/gtest.h>

#include <cstring>
#include <system_error>

#include "data/shards/shard_writer.h"
#include "tests/data/shards/scratch.h"

namespace phalanx {
namespace {

using Documents = std::vector<std::vector<int32_t>>;

void write_shard(const std::filesystem::path& prefix, TokenType type, const Documents& documents) {
  ShardWriter writer(prefix, type);
  for (const std::vector<int32_t>& document : documents) writer.add_document(document);
  writer.finish();
}

template <typename T>
void put(std::string& bytes, size_t offset, T value) {
  std::memcpy(bytes.data() + offset, &value, sizeof(value));
}

std::vector<int32_t> read_all(const ShardFile& shard) {
  std::vector<int32_t> tokens(static_cast<size_t>(shard.num_tokens()));
  shard.read_tokens(0, tokens);
  return tokens;
}

const Documents kDocuments = {{1, 2, 3}, {65000, 7}, {9}};

// The bytes are Megatron's, written out by hand from its layout.
TEST(ShardWriter, WritesMegatronsBytes) {
  const Scratch scratch;
  write_shard(scratch / "s", TokenType::kUint16, kDocuments);
  const std::string bin("\x01\0\x02\0\x03\0\xe8\xfd\x07\0\x09\0", 12);
  EXPECT_EQ(slurp(scratch / "s.bin"), bin);
  std::string idx("MMIDIDX\0\0", 9);
  idx += std::string("\x01\0\0\0\0\0\0\0", 8) + '\x08';
  idx += std::string("\x03\0\0\0\0\0\0\0", 8) + std::string("\x04\0\0\0\0\0\0\0", 8);
  idx += std::string("\x03\0\0\0\x02\0\0\0\x01\0\0\0", 12);
  idx += std::string("\0\0\0\0\0\0\0\0\x06\0\0\0\0\0\0\0\x0a\0\0\0\0\0\0\0", 24);
  idx += std::string("\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0", 16);
  idx += std::string("\x02\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0", 16);
  EXPECT_EQ(slurp(scratch / "s.idx"), idx);
}

TEST(ShardWriter, LeavesNothingWhenUnfinished) {
  const Scratch scratch;
  { ShardWriter(scratch / "s", TokenType::kUint16).add_document(kDocuments[0]); }
  EXPECT_TRUE(std::filesystem::is_empty(scratch.folder()));
}

TEST(ShardWriter, RefusesIdsThatTheTypeCannotHold) {
  const Scratch scratch;
  ShardWriter writer(scratch / "s", TokenType::kUint16);
  EXPECT_THROW(writer.add_document(std::vector<int32_t>{65536}), std::logic_error);
  EXPECT_THROW(writer.add_document(std::vector<int32_t>{-1}), std::logic_error);
  EXPECT_THROW(writer.add_document({}), std::logic_error);
}

TEST(TokenType, IsMegatronsChoiceForAVocabulary) {
  EXPECT_EQ(token_type_for(65499), TokenType::kUint16);
  EXPECT_EQ(token_type_for(65500), TokenType::kInt32);
}

class ShardRoundTrip : public ::testing::TestWithParam<TokenType> {};

TEST_P(ShardRoundTrip, GivesBackTokensAndDocuments) {
  const Scratch scratch;
  Documents documents;
  std::vector<int32_t> all;
  std::vector<int64_t> starts;
  for (int i = 0; i < 300; ++i) {
    std::vector<int32_t> document;
    for (int k = 0; k < 1 + (i * 37) % 101; ++k) document.push_back((i * 131 + k * 7) % 65000);
    starts.push_back(static_cast<int64_t>(all.size()));
    all.insert(all.end(), document.begin(), document.end());
    documents.push_back(std::move(document));
  }
  write_shard(scratch / "s", GetParam(), documents);
  const ShardFile shard(scratch / "s");
  shard.check_index();
  EXPECT_EQ(shard.num_documents(), 300);
  EXPECT_EQ(read_all(shard), all);
  for (int64_t begin : {int64_t{0}, int64_t{1}, int64_t{4999}, shard.num_tokens() - 50}) {
    std::vector<int32_t> part(50);
    shard.read_tokens(begin, part);
    EXPECT_EQ(part, std::vector<int32_t>(all.begin() + begin, all.begin() + begin + 50));
    std::vector<int64_t> found, numbers, expected, expected_numbers;
    shard.append_documents(begin, begin + 500, 1000, 70, found, numbers);
    for (size_t d = 0; d < starts.size(); ++d) {
      const int64_t stop = d + 1 < starts.size() ? starts[d + 1] : shard.num_tokens();
      if (starts[d] >= begin + 500 || stop <= begin) continue;
      expected_numbers.push_back(static_cast<int64_t>(d) + 70);
      if (starts[d] >= begin) expected.push_back(starts[d] + 1000);
    }
    EXPECT_EQ(found, expected) << begin;
    EXPECT_EQ(numbers, expected_numbers) << begin;
  }
  EXPECT_EQ(shard.document_start(299), starts.back());
  EXPECT_EQ(shard.document_start(300), shard.num_tokens());
}
INSTANTIATE_TEST_SUITE_P(Types, ShardRoundTrip,
                         ::testing::Values(TokenType::kUint16, TokenType::kInt32),
                         [](const auto& param) {
                           return std::string(token_type_name(param.param));
                         });

TEST(ShardFile, ReadsDocumentsOfSeveralSequencesAndEmptyOnes) {
  const Scratch scratch;
  write_shard(scratch / "s", TokenType::kUint16, {{1, 2}, {3, 4}, {5, 6}});
  std::string idx = slurp(scratch / "s.idx");
  // Documents of sequences [0, 2), none, [2, 3).
  put<int64_t>(idx, 34 + 36 + 8, 2);
  put<int64_t>(idx, 34 + 36 + 16, 2);
  spill(scratch / "s.idx", idx);
  const ShardFile shard(scratch / "s");
  shard.check_index();
  std::vector<int64_t> starts, numbers;
  shard.append_documents(0, 6, 0, 0, starts, numbers);
  EXPECT_EQ(starts, (std::vector<int64_t>{0, 4}));
  EXPECT_EQ(numbers, (std::vector<int64_t>{0, 2}));
  starts.clear();
  numbers.clear();
  shard.append_documents(5, 6, 0, 0, starts, numbers);
  EXPECT_TRUE(starts.empty());
  EXPECT_EQ(numbers, (std::vector<int64_t>{2}));
}

TEST(ShardFile, AnEmptyShardIsAShard) {
  const Scratch scratch;
  write_shard(scratch / "s", TokenType::kInt32, {});
  const ShardFile shard(scratch / "s");
  shard.check_index();
  EXPECT_EQ(shard.num_tokens(), 0);
  EXPECT_EQ(shard.num_documents(), 0);
}

TEST(ShardFile, ReachesTokensPast4GiB) {
  const Scratch scratch;
  // Sparse: three sequences of 2^30 - 1 tokens and one of 5, without the disk space.
  const int64_t big = (int64_t{1} << 30) - 1;
  std::string idx("MMIDIDX\0\0\x01\0\0\0\0\0\0\0\x04", 18);
  idx.resize(34 + 4 * 12 + 5 * 8);
  put<int64_t>(idx, 18, 4);
  put<int64_t>(idx, 26, 5);
  for (int i = 0; i < 4; ++i) {
    put<int32_t>(idx, 34 + 4 * i, i < 3 ? static_cast<int32_t>(big) : 5);
    put<int64_t>(idx, 34 + 16 + 8 * i, i * big * 4);
    put<int64_t>(idx, 34 + 16 + 32 + 8 * (i + 1), i + 1);
  }
  spill(scratch / "s.idx", idx);
  spill(scratch / "s.bin", "");
  std::filesystem::resize_file(scratch / "s.bin", static_cast<uintmax_t>(3 * big + 5) * 4);
  {
    std::fstream bin(scratch / "s.bin", std::ios::in | std::ios::out | std::ios::binary);
    bin.seekp((3 * big + 2) * 4);
    const int32_t id = 77;
    bin.write(reinterpret_cast<const char*>(&id), 4);
  }
  const ShardFile shard(scratch / "s");
  shard.check_index();
  std::vector<int32_t> tokens(4);
  shard.read_tokens(3 * big, tokens);
  EXPECT_EQ(tokens, (std::vector<int32_t>{0, 0, 77, 0}));
  std::vector<int64_t> starts, numbers;
  shard.append_documents(2 * big - 3, 3 * big + 5, 0, 0, starts, numbers);
  EXPECT_EQ(starts, (std::vector<int64_t>{2 * big, 3 * big}));
  EXPECT_EQ(numbers, (std::vector<int64_t>{1, 2, 3}));
}

/// A good shard whose .idx one case damages; every message is compared whole.
class BadShard : public ::testing::Test {
 protected:
  BadShard() {
    write_shard(scratch_ / "s", TokenType::kUint16, kDocuments);
    idx_ = slurp(scratch_ / "s.idx");
  }
  std::string idx(const std::string& rest) const { return (scratch_ / "s.idx").string() + rest; }
  std::string bin(const std::string& rest) const { return (scratch_ / "s.bin").string() + rest; }
  std::string open_message() {
    spill(scratch_ / "s.idx", idx_);
    return message_of<std::invalid_argument>([&] { ShardFile shard(scratch_ / "s"); });
  }
  std::string check_message() {
    spill(scratch_ / "s.idx", idx_);
    return message_of<std::invalid_argument>([&] { ShardFile(scratch_ / "s").check_index(); });
  }

  const Scratch scratch_;
  std::string idx_;
};

TEST_F(BadShard, MissingFiles) {
  EXPECT_EQ(message_of<std::system_error>([&] { ShardFile shard(scratch_ / "t"); }),
            "open " + (scratch_ / "t.bin").string() + ": No such file or directory");
  std::filesystem::remove(scratch_ / "s.idx");
  EXPECT_EQ(message_of<std::system_error>([&] { ShardFile shard(scratch_ / "s"); }),
            "open " + idx(": No such file or directory"));
}

TEST_F(BadShard, IndexShorterThanItsHeader) {
  idx_.resize(33);
  EXPECT_EQ(open_message(), idx(": size: expected at least 34 bytes, found 33 bytes"));
  idx_.clear();
  EXPECT_EQ(open_message(), idx(": size: expected at least 34 bytes, found 0 bytes"));
}

TEST_F(BadShard, Magic) {
  idx_[0] = 'X';
  EXPECT_EQ(open_message(), idx(": first 9 bytes: expected MMIDIDX\\0\\0, found something else"));
}

TEST_F(BadShard, Version) {
  put<uint64_t>(idx_, 9, 2);
  EXPECT_EQ(open_message(), idx(": version: expected 1, found 2"));
}

TEST_F(BadShard, Dtype) {
  idx_[17] = 7;
  const std::string advice =
      "; Megatron's IndexedDatasetBuilder(dtype=numpy.int32) can write the corpus again as one of "
      "them";
  EXPECT_EQ(open_message(),
            idx(": dtype: expected 4 (int32) or 8 (uint16)" + advice + ", found 7 (float32)"));
  idx_[17] = '\xff';
  EXPECT_EQ(open_message(),
            idx(": dtype: expected 4 (int32) or 8 (uint16)" + advice + ", found 255 (?)"));
}

TEST_F(BadShard, CountsBeyondTheFileAreRefusedBeforeAnyAllocation) {
  const std::string good = idx_;
  put<uint64_t>(idx_, 18, uint64_t{1} << 60);
  EXPECT_EQ(open_message(),
            idx(": sequence count: expected at most 5 in 102 bytes, found 1152921504606846976"));
  put<uint64_t>(idx_, 18, UINT64_MAX);
  EXPECT_EQ(open_message(),
            idx(": sequence count: expected at most 5 in 102 bytes, found 18446744073709551615"));
  idx_ = good;
  put<uint64_t>(idx_, 26, uint64_t{1} << 63);
  EXPECT_EQ(open_message(),
            idx(": document count: expected 1 to 8 in 102 bytes, found 9223372036854775808"));
  put<uint64_t>(idx_, 26, 0);
  EXPECT_EQ(open_message(), idx(": document count: expected 1 to 8 in 102 bytes, found 0"));
}

TEST_F(BadShard, TruncatedAndOverlongIndex) {
  const std::string good = idx_;
  idx_.pop_back();
  EXPECT_EQ(open_message(), idx(": size: expected 102 bytes for 3 sequences and 4 document "
                                "boundaries, found 101 bytes"));
  idx_ = good + "123";
  EXPECT_EQ(open_message(), idx(": size: expected 102 bytes for 3 sequences and 4 document "
                                "boundaries, found 105 bytes"));
}

TEST_F(BadShard, TruncatedAndOverlongTokens) {
  const std::string good = slurp(scratch_ / "s.bin");
  spill(scratch_ / "s.bin", good.substr(0, 11));
  EXPECT_EQ(open_message(), bin(": size: expected 12 bytes as its .idx says, found 11 bytes"));
  spill(scratch_ / "s.bin", good + "xx");
  EXPECT_EQ(open_message(), bin(": size: expected 12 bytes as its .idx says, found 14 bytes"));
}

TEST_F(BadShard, EndsOfTheArrays) {
  const std::string good = idx_;
  put<int64_t>(idx_, 46, 2);
  EXPECT_EQ(open_message(), idx(": pointer 0: expected 0, found 2"));
  idx_ = good;
  put<int64_t>(idx_, 62, -4);
  EXPECT_EQ(open_message(), idx(": pointer 2: expected a multiple of 2 from 0 on, found -4"));
  put<int64_t>(idx_, 62, INT64_MAX - 1);
  EXPECT_EQ(open_message(), idx(": pointer 2: expected a multiple of 2 from 0 on, found "
                                "9223372036854775806"));
  idx_ = good;
  put<int32_t>(idx_, 42, -1);
  EXPECT_EQ(open_message(), idx(": length 2: expected 0 or more, found -1"));
  idx_ = good;
  put<int64_t>(idx_, 70, 1);
  EXPECT_EQ(open_message(), idx(": document boundary 0: expected 0, found 1"));
  idx_ = good;
  put<int64_t>(idx_, 94, 2);
  EXPECT_EQ(open_message(),
            idx(": document boundary 3: expected 3, the number of sequences, found 2"));
}

TEST_F(BadShard, EntriesInTheMiddleAreFoundByTheWholeCheck) {
  const std::string good = idx_;
  put<int32_t>(idx_, 38, -2);
  EXPECT_EQ(check_message(), idx(": length 1: expected 0 or more, found -2"));
  put<int32_t>(idx_, 38, 3);
  EXPECT_EQ(check_message(), idx(": pointer 2: expected 12, found 10"));
  idx_ = good;
  put<int64_t>(idx_, 54, 8);
  EXPECT_EQ(check_message(), idx(": pointer 1: expected 6, found 8"));
  idx_ = good;
  put<int64_t>(idx_, 86, 0);
  EXPECT_EQ(check_message(), idx(": document boundary 2: expected 1 to 3, found 0"));
  put<int64_t>(idx_, 86, 4);
  EXPECT_EQ(check_message(), idx(": document boundary 2: expected 1 to 3, found 4"));
}

TEST_F(BadShard, EntriesInTheMiddleAreFoundWhenUsed) {
  const std::string good = idx_;
  const auto look_up = [&] {
    spill(scratch_ / "s.idx", idx_);
    return message_of<std::invalid_argument>([&] {
      std::vector<int64_t> starts, numbers;
      ShardFile(scratch_ / "s").append_documents(0, 6, 0, 0, starts, numbers);
    });
  };
  put<int64_t>(idx_, 54, 5);
  EXPECT_EQ(look_up(), idx(": pointer 1: expected a multiple of 2 up to 12, found 5"));
  put<int64_t>(idx_, 54, int64_t{1} << 62);
  EXPECT_EQ(look_up(),
            idx(": pointer 1: expected a multiple of 2 up to 12, found 4611686018427387904"));
  idx_ = good;
  put<int64_t>(idx_, 78, int64_t{1} << 61);
  EXPECT_EQ(look_up(), idx(": document boundary 1: expected 0 to 3, found 2305843009213693952"));
}

}  // namespace
}  // namespace phalanx
