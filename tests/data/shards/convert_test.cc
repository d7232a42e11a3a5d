// The token files are written here as llm.c and nanoGPT describe theirs.
#include "data/shards/convert_tokens.h"

#include <gtest/gtest.h>

#include <numeric>

#include "data/shards/dataset_reader.h"
#include "data/shards/dataset_verify.h"
#include "tests/data/shards/scratch.h"

namespace phalanx {
namespace {

constexpr int32_t kEnd = 50;
constexpr int32_t kUint16Magic = 20240520, kUint32Magic = 20240801;

template <typename T>
std::string bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

std::string header(int32_t magic, int32_t version, int32_t count) {
  std::vector<int32_t> words(256);
  words[0] = magic;
  words[1] = version;
  words[2] = count;
  return bytes_of(words);
}

std::string llmc(const std::vector<uint16_t>& ids) {
  return header(kUint16Magic, 1, static_cast<int32_t>(ids.size())) + bytes_of(ids);
}

std::string llmc_wide(const std::vector<uint32_t>& ids) {
  return header(kUint32Magic, 7, static_cast<int32_t>(ids.size())) + bytes_of(ids);
}

ConvertOptions options(const Scratch& scratch, const std::vector<std::string>& files,
                       std::optional<TokenFileKind> kind = std::nullopt, int64_t vocab_size = 51) {
  ConvertOptions made;
  for (size_t i = 0; i < files.size(); ++i) {
    made.inputs.push_back(scratch / ("input-" + std::to_string(i) + ".bin"));
    spill(made.inputs.back(), files[i]);
  }
  made.output = scratch / "out";
  made.kind = kind;
  made.facts.name = "converted";
  made.facts.tokenizer = "0123456789abcdef";
  made.facts.vocab_size = vocab_size;
  made.facts.end_of_document = kEnd;
  made.facts.packing.shuffled = false;
  return made;
}

using Documents = std::vector<std::vector<int32_t>>;

Documents documents_in(const std::filesystem::path& folder) {
  const DatasetReader reader(folder);
  EXPECT_TRUE(verify_dataset(reader, {}).empty());
  Documents documents;
  for (size_t i = 0; i < reader.manifest().shards.size(); ++i) {
    const auto shard = reader.shard(i);
    for (int64_t d = 0; d < shard->num_documents(); ++d) {
      const int64_t begin = shard->document_start(d);
      documents.emplace_back(static_cast<size_t>(shard->document_start(d + 1) - begin));
      shard->read_tokens(begin, documents.back());
    }
  }
  return documents;
}

std::string refusal(const ConvertOptions& wanted) {
  return message_of<std::invalid_argument>([&] { (void)convert_tokens(wanted, {}); });
}

TEST(Convert, MovesLlmcsTokenFromTheFrontOfADocumentToItsEnd) {
  const Scratch scratch;
  const ConvertOptions wanted = options(scratch, {llmc({kEnd, 1, 2, kEnd, 3, kEnd, kEnd, 4, 5})});
  const ConvertedPart result = convert_tokens(wanted, {}).train;
  EXPECT_EQ(documents_in(wanted.output / "train"),
            (Documents{{1, 2, kEnd}, {3, kEnd}, {4, 5, kEnd}}));
  EXPECT_EQ(result.tokens_read, 9);
  EXPECT_EQ(result.ends_read, 4);
  EXPECT_EQ(result.manifest.packing.documents_read, 4);
  EXPECT_EQ(result.manifest.packing.rejected_empty, 1);
  EXPECT_EQ(result.manifest.packing.part, "train");
  EXPECT_EQ(result.manifest.packing.inputs[0].num_documents, 4);
  EXPECT_EQ(result.manifest.packing.inputs[0].bytes, 1024 + 2 * 9);
}

TEST(Convert, ALastTokenOfLlmcBeginsAnEmptyDocument) {
  const Scratch scratch;
  const ConvertOptions wanted = options(scratch, {llmc({1, 2, kEnd})});
  const ConvertedPart result = convert_tokens(wanted, {}).train;
  EXPECT_EQ(documents_in(wanted.output / "train"), (Documents{{1, 2, kEnd}}));
  EXPECT_EQ(result.manifest.packing.documents_read, 2);
  EXPECT_EQ(result.manifest.packing.rejected_empty, 1);
}

TEST(Convert, JoinsADocumentThatLlmcCutAtTheEdgeOfAFile) {
  const Scratch scratch;
  const ConvertOptions wanted =
      options(scratch, {llmc({kEnd, 1, 2}), llmc({3, kEnd, 4}), llmc({kEnd, 5})});
  const ConvertedPart result = convert_tokens(wanted, {}).train;
  EXPECT_EQ(documents_in(wanted.output / "train"),
            (Documents{{1, 2, 3, kEnd}, {4, kEnd}, {5, kEnd}}));
  EXPECT_EQ(result.joined_documents, 1);
  EXPECT_EQ(result.manifest.packing.rejected_empty, 0);
}

TEST(Convert, HoldsOutWhatItIsTold) {
  const Scratch scratch;
  ConvertOptions wanted = options(scratch, {llmc({kEnd, 1, 2}), llmc({3, kEnd, 4})});
  wanted.validation = {wanted.inputs.back()};
  wanted.inputs.pop_back();
  int64_t read = 0, total = 0;
  const ConvertResult result = convert_tokens(wanted, [&](int64_t bytes, int64_t bytes_total) {
    read = bytes;
    total = bytes_total;
  });
  EXPECT_EQ(documents_in(wanted.output / "train"), (Documents{{1, 2, kEnd}}));
  EXPECT_EQ(documents_in(wanted.output / "validation"), (Documents{{3, kEnd}, {4, kEnd}}));
  EXPECT_EQ(result.validation->manifest.packing.part, "validation");
  EXPECT_EQ(read, 12);
  EXPECT_EQ(total, 12);
}

TEST(Convert, ReadsLlmcsWideIds) {
  const Scratch scratch;
  const ConvertOptions wanted =
      options(scratch, {llmc_wide({kEnd, 99999, 2, kEnd, 70000})}, TokenFileKind::kLlmc, 100000);
  const ConvertedPart result = convert_tokens(wanted, {}).train;
  EXPECT_EQ(result.manifest.token_type, TokenType::kInt32);
  EXPECT_EQ(documents_in(wanted.output / "train"), (Documents{{99999, 2, kEnd}, {70000, kEnd}}));
}

TEST(Convert, CutsNanoGptsBehindTheToken) {
  const Scratch scratch;
  const std::vector<uint16_t> ids = {1, 2, kEnd, kEnd, 3, kEnd, 4};
  const ConvertOptions wanted = options(scratch, {bytes_of(ids)}, TokenFileKind::kNanoGpt);
  const ConvertedPart result = convert_tokens(wanted, {}).train;
  EXPECT_EQ(documents_in(wanted.output / "train"), (Documents{{1, 2, kEnd}, {3, kEnd}, {4, kEnd}}));
  EXPECT_EQ(result.manifest.packing.documents_read, 4);
  EXPECT_EQ(result.manifest.packing.rejected_empty, 1);
}

TEST(Convert, KeepsEveryTokenOverBlocksAndShards) {
  const Scratch scratch;
  // Over a million tokens: more than one block; documents of 0 to 996 tokens.
  std::vector<uint16_t> ids;
  Documents expected;
  int64_t empty = 0;
  for (uint32_t i = 0; ids.size() < 2500000; ++i) {
    const uint32_t length = (i * 7919) % 997;
    ids.push_back(kEnd);
    for (uint32_t k = 0; k < length; ++k) ids.push_back(static_cast<uint16_t>((i + k * k) % 50));
    if (length == 0) {
      ++empty;
      continue;
    }
    expected.emplace_back(ids.end() - length, ids.end());
    expected.back().push_back(kEnd);
  }
  ConvertOptions wanted = options(scratch, {llmc(ids)});
  wanted.shard_tokens = 300000;
  int64_t read = 0;
  const ConvertedPart result =
      convert_tokens(wanted, [&](int64_t bytes, int64_t) { read = bytes; }).train;
  EXPECT_EQ(read, static_cast<int64_t>(2 * ids.size()));
  EXPECT_GT(result.manifest.shards.size(), 7u);
  EXPECT_GT(empty, 1);
  EXPECT_EQ(result.manifest.packing.rejected_empty, empty);
  EXPECT_EQ(result.tokens_read, static_cast<int64_t>(ids.size()));
  EXPECT_EQ(result.joined_documents, 0);
  EXPECT_TRUE(documents_in(wanted.output / "train") == expected);
}

TEST(Convert, RefusesAFileOfUnknownKind) {
  const Scratch scratch;
  const std::vector<uint16_t> ids = {1, 2, kEnd};
  ConvertOptions wanted = options(scratch, {bytes_of(ids)});
  const std::string file = wanted.inputs[0].string();
  EXPECT_EQ(refusal(wanted), file +
                                 ": expected llm.c's header (magic 20240520 or 20240801), found "
                                 "6 bytes; nanoGPT's files have no header, so they are read "
                                 "only when they are said to be nanoGPT's (--from nanogpt)");
  spill(file, std::string(2000, '\1'));
  EXPECT_NE(refusal(wanted).find(", found 16843009; nanoGPT's"), std::string::npos);
  spill(file, llmc(ids));
  wanted.kind = TokenFileKind::kNanoGpt;
  EXPECT_EQ(refusal(wanted), file +
                                 ": expected nanoGPT's ids without a header, found llm.c's "
                                 "header (magic 20240520): it would be read as tokens");
  EXPECT_FALSE(std::filesystem::exists(wanted.output));
}

TEST(Convert, HoldsTheHeaderAgainstTheFile) {
  const Scratch scratch;
  ConvertOptions wanted = options(scratch, {""});
  const std::string file = wanted.inputs[0].string();
  spill(file, header(kUint16Magic, 1, 3) + std::string(4, '\0'));
  EXPECT_EQ(refusal(wanted), file +
                                 ": size: expected 1030 bytes for the header's 3 tokens of 2 "
                                 "bytes, found 1028 bytes");
  spill(file, header(kUint32Magic, 7, 3) + std::string(6, '\0'));
  EXPECT_EQ(refusal(wanted), file +
                                 ": size: expected 1036 bytes for the header's 3 tokens of 4 "
                                 "bytes, found 1030 bytes");
  spill(file, header(kUint16Magic, 7, 3) + std::string(6, '\0'));
  EXPECT_EQ(refusal(wanted), file + ": header: version: expected 1, found 7");
  spill(file, header(kUint16Magic, 1, -1));
  EXPECT_NE(refusal(wanted).find("the header's -1 tokens"), std::string::npos);
  wanted.kind = TokenFileKind::kNanoGpt;
  spill(file, "abc");
  EXPECT_EQ(refusal(wanted), file +
                                 ": size: expected an even number of bytes, uint16 ids, found "
                                 "3 bytes");
}

TEST(Convert, NamesFilePlaceAndIdOfAForeignToken) {
  const Scratch scratch;
  const ConvertOptions wanted = options(scratch, {llmc({kEnd, 1, 51, 2})});
  EXPECT_EQ(refusal(wanted), wanted.inputs[0].string() +
                                 ": token 2: expected an id below the "
                                 "vocabulary's 51, found 51: another "
                                 "tokenizer made this file");
  EXPECT_FALSE(std::filesystem::exists(wanted.output));
  const ConvertOptions wide = options(scratch, {llmc({kEnd, 1})}, std::nullopt, 100000);
  EXPECT_EQ(refusal(wide), wide.inputs[0].string() +
                               ": expected a tokenizer of at most 65536 ids, "
                               "since the file's are uint16, found one of "
                               "100000: another tokenizer made it");
}

TEST(Convert, RefusesAFileWithoutDocuments) {
  const Scratch scratch;
  for (const std::string& file : {llmc({}), llmc({kEnd}), llmc({kEnd, kEnd})}) {
    const ConvertOptions wanted = options(scratch, {file});
    EXPECT_EQ(refusal(wanted), wanted.inputs[0].string() +
                                   ": expected tokens between end-of-document tokens, found none "
                                   "in the input");
  }
}

TEST(Convert, RefusesADocumentWithoutEnd) {
  const Scratch scratch;
  const std::vector<uint16_t> ids(static_cast<size_t>(kMaxConvertedDocument + 5), 1);
  const ConvertOptions wanted = options(scratch, {bytes_of(ids)}, TokenFileKind::kNanoGpt);
  EXPECT_NE(refusal(wanted).find("expected the end-of-document token 50 within 67108864 tokens, "
                                 "found none: another tokenizer made this file"),
            std::string::npos);
}

}  // namespace
}  // namespace phalanx
