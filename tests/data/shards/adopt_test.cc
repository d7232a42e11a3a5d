// The corpora are written here byte by byte, independently of ShardWriter, in the layout of
// FORMAT.md; megatron_parity.py does the same with megatron-core.
#include "data/shards/adopt_dataset.h"

#include <gtest/gtest.h>

#include <numeric>

#include "data/shards/dataset_files.h"
#include "data/shards/dataset_reader.h"
#include "data/shards/dataset_verify.h"
#include "tests/data/shards/scratch.h"

namespace phalanx {
namespace {

constexpr int32_t kEnd = 99;
constexpr int64_t kVocabulary = 100;

using Sequences = std::vector<std::vector<int32_t>>;

template <typename T>
void append(std::string& bytes, T value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

/// `boundaries`: the number of the first sequence of each document, and of the sequences.
void write_corpus(const std::string& prefix, const Sequences& sequences,
                  const std::vector<int64_t>& boundaries, TokenType type = TokenType::kUint16) {
  std::string bin, idx("MMIDIDX\0\0", 9), pointers;
  append(idx, uint64_t{1});
  append(idx, static_cast<uint8_t>(type));
  append(idx, static_cast<uint64_t>(sequences.size()));
  append(idx, static_cast<uint64_t>(boundaries.size()));
  for (const auto& sequence : sequences) {
    append(idx, static_cast<int32_t>(sequence.size()));
    append(pointers, static_cast<int64_t>(bin.size()));
    for (const int32_t id : sequence) {
      type == TokenType::kUint16 ? append(bin, static_cast<uint16_t>(id)) : append(bin, id);
    }
  }
  idx += pointers;
  for (const int64_t boundary : boundaries) append(idx, boundary);
  spill(prefix + ".bin", bin);
  spill(prefix + ".idx", idx);
}

AdoptOptions options(const std::vector<std::filesystem::path>& prefixes,
                     const std::filesystem::path& output = {}) {
  AdoptOptions made{prefixes, output, {}};
  made.facts.name = "foreign";
  made.facts.tokenizer = "0123456789abcdef";
  made.facts.vocab_size = kVocabulary;
  made.facts.end_of_document = kEnd;
  made.facts.packing.shuffled = false;
  return made;
}

// Three documents with an end, one without, two that have no tokens.
const Sequences kSequences = {{1, 2}, {}, {3, kEnd}, {kEnd}, {4, 5}, {6, kEnd}, {}};
const std::vector<int64_t> kBoundaries = {0, 3, 4, 5, 5, 6, 7};

std::string refusal(const AdoptOptions& wanted) {
  return message_of<std::invalid_argument>([&] { (void)adopt_dataset(wanted, {}); });
}

TEST(Adopt, CountsAndHashesACorpusWhereItLies) {
  const Scratch scratch;
  const std::string one = (scratch / "one").string(), two = (scratch / "two").string();
  write_corpus(one, kSequences, kBoundaries);
  write_corpus(two, {{7, kEnd}}, {0, 1});
  int64_t read = 0, total = 0;
  const AdoptResult result =
      adopt_dataset(options({two, one}), [&](int64_t bytes, int64_t bytes_total) {
        read = bytes;
        total = bytes_total;
      });
  EXPECT_EQ(read, total);
  EXPECT_EQ(result.folder, scratch.folder());
  EXPECT_EQ(result.max_id, kEnd);
  EXPECT_EQ(result.empty_documents, 2);
  EXPECT_EQ(result.documents_without_end, 1);
  const DatasetReader reader(scratch.folder());
  EXPECT_EQ(manifest_json(reader.manifest()), manifest_json(result.manifest));
  EXPECT_EQ(reader.manifest().num_documents(), 7);
  EXPECT_EQ(reader.manifest().packing.part, "adopted");
  EXPECT_FALSE(reader.manifest().packing.shuffled);
  EXPECT_EQ(reader.manifest().shards[1].idx_bytes,
            static_cast<int64_t>(std::filesystem::file_size(one + ".idx")));
  EXPECT_TRUE(verify_dataset(reader, {}).empty());
  std::vector<int32_t> tokens(11);
  reader.read_tokens(0, tokens);
  EXPECT_EQ(tokens, (std::vector<int32_t>{7, kEnd, 1, 2, 3, kEnd, kEnd, 4, 5, 6, kEnd}));
  std::vector<int64_t> starts, numbers;
  reader.documents(0, 11, starts, numbers);
  EXPECT_EQ(starts, (std::vector<int64_t>{0, 2, 6, 7, 9}));
}

TEST(Adopt, LooksAtEveryDocumentAcrossBlocks) {
  const Scratch scratch;
  // 16 MiB of ids are a block; a document ends on its last id, the next one just behind it.
  const size_t block = (size_t{16} << 20) / 2;
  Sequences sequences = {std::vector<int32_t>(block, 1), {kEnd}, std::vector<int32_t>(block, 2)};
  sequences[0].back() = kEnd;
  const std::string prefix = (scratch / "big").string();
  write_corpus(prefix, sequences, {0, 1, 2, 3});
  const AdoptResult result = adopt_dataset(options({prefix}), {});
  EXPECT_EQ(result.documents_without_end, 1);
  EXPECT_EQ(result.manifest.num_tokens(), static_cast<int64_t>(2 * block + 1));
  EXPECT_EQ(result.max_id, kEnd);  // which the last block lacks
  std::filesystem::remove(scratch / "dataset.json");
  sequences[2][3] = 100;
  write_corpus(prefix, sequences, {0, 1, 2, 3});
  EXPECT_EQ(refusal(options({prefix}))
                .find(prefix + ".bin: token " + std::to_string(block + 4) + ": expected an id "),
            0u);
}

TEST(Adopt, OverwritesNothing) {
  const Scratch scratch;
  const std::string prefix = (scratch / "one").string();
  write_corpus(prefix, kSequences, kBoundaries);
  (void)adopt_dataset(options({prefix}), {});
  const std::string before = slurp(scratch / "dataset.json");
  EXPECT_EQ(refusal(options({prefix})),
            (scratch / "dataset.json").string() +
                ": expected none: nothing is overwritten (one of several corpora in a folder can "
                "be given an output folder of its own), found one that is there");
  EXPECT_EQ(slurp(scratch / "dataset.json"), before);
  spill(scratch / "there/file", "x");
  EXPECT_EQ(refusal(options({prefix}, scratch / "there")),
            (scratch / "there").string() +
                ": expected a new folder, found one that is there "
                "already");
}

TEST(Adopt, LinksCorporaOfSeveralFolders) {
  const Scratch scratch;
  const std::string one = (scratch / "a/text").string(), two = (scratch / "b/text").string();
  write_corpus(one, kSequences, kBoundaries, TokenType::kInt32);
  write_corpus(two, {{7, kEnd}}, {0, 1}, TokenType::kInt32);
  EXPECT_EQ(refusal(options({one, two})).find(two + ": expected all shards in the folder of the "),
            0u);
  (void)adopt_dataset(options({one + ".idx", two + ".bin"}, scratch / "linked"), {});
  const DatasetReader reader(scratch / "linked");
  EXPECT_TRUE(verify_dataset(reader, {}).empty());
  EXPECT_EQ(reader.num_tokens(), 11);
  EXPECT_EQ(reader.manifest().packing.inputs[1].pattern, two);
  EXPECT_EQ(std::filesystem::read_symlink(scratch / "linked/shard-00001.bin"), two + ".bin");
  EXPECT_FALSE(std::filesystem::exists(scratch / "linked.tmp"));
}

TEST(Adopt, NamesShardPlaceAndIdOfAForeignToken) {
  const Scratch scratch;
  const std::string one = (scratch / "one").string(), two = (scratch / "two").string();
  write_corpus(one, kSequences, kBoundaries);
  for (const auto& [type, id] :
       {std::pair(TokenType::kUint16, 65535), std::pair(TokenType::kInt32, -3)}) {
    write_corpus(two, {{7, 8, static_cast<int32_t>(id), kEnd}}, {0, 1}, type);
    EXPECT_EQ(refusal(options({two})),
              two + ".bin: token 2: expected an id below the vocabulary's 100, found " +
                  std::to_string(id) + ": another tokenizer made this corpus");
  }
  EXPECT_EQ(refusal(options({one, two}))
                .find(two + ".idx: expected uint16 as in " + one + ".idx: a data set has one "),
            0u);
  EXPECT_FALSE(std::filesystem::exists(scratch / "dataset.json"));
}

TEST(Adopt, RefusesADamagedIndexAndWhatIsNoCorpus) {
  const Scratch scratch;
  const std::string prefix = (scratch / "one").string();
  const std::string absent = (scratch / "absent").string();
  EXPECT_EQ(refusal(options({absent})), absent +
                                            ".bin: expected a file: a corpus is PREFIX.bin "
                                            "with PREFIX.idx, found none");
  write_corpus(prefix, kSequences, {0, 3, 4, 2, 5, 6, 7});
  EXPECT_EQ(refusal(options({prefix})),
            prefix + ".idx: document boundary 3: expected 4 to 7, found 2");
  write_corpus(prefix, kSequences, kBoundaries);
  std::string idx = slurp(prefix + ".idx");
  idx[34 + 4 * kSequences.size() + 8 * 3] = 6;  // the fourth sequence begins at byte 8
  spill(prefix + ".idx", idx);
  EXPECT_EQ(refusal(options({prefix})), prefix + ".idx: pointer 3: expected 8, found 6");
  write_corpus(prefix, {{}, {}}, {0, 1, 2});
  EXPECT_EQ(refusal(options({prefix})), prefix + ": expected a corpus with tokens, found none");
  write_corpus(prefix, kSequences, kBoundaries);
  EXPECT_EQ(refusal(options({prefix, prefix + ".bin"})),
            prefix + ": expected each corpus once, found it twice");
}

TEST(Adopt, AReaderSeesAnIndexOfAnotherSize) {
  const Scratch scratch;
  const std::string prefix = (scratch / "one").string();
  write_corpus(prefix, kSequences, kBoundaries);
  (void)adopt_dataset(options({prefix}), {});
  const auto bytes = std::filesystem::file_size(prefix + ".idx");
  // The same tokens and as many documents, but one sequence less.
  write_corpus(prefix, {{1, 2}, {3, kEnd}, {kEnd}, {4, 5}, {6, kEnd}, {}}, {0, 2, 3, 4, 4, 5, 6});
  const std::string message = message_of<std::invalid_argument>(
      [&] { DatasetReader(scratch.folder()).check_shards(0, 1); });
  EXPECT_EQ(message.rfind(prefix + ".idx: ", 0), 0u) << message;
  EXPECT_NE(message.find("expected " + std::to_string(bytes)), std::string::npos) << message;
  EXPECT_NE(message.find("found " + std::to_string(bytes - 12)), std::string::npos) << message;
}

TEST(TrainFolder, SaysHowToAdoptTokenFilesWithoutAManifest) {
  const Scratch scratch;
  const std::string expected = scratch.folder().string() +
                               ": expected a data set (dataset.json or train/dataset.json in it), "
                               "found neither";
  const auto message = [&] {
    return message_of<std::invalid_argument>([&] { (void)train_folder(scratch.folder()); });
  };
  EXPECT_EQ(message(), expected);
  write_corpus((scratch / "b_text").string(), kSequences, kBoundaries);
  write_corpus((scratch / "a_text").string(), kSequences, kBoundaries);
  EXPECT_EQ(message(), expected + ": phalanx data convert --adopt " +
                           (scratch / "a_text").string() + " makes one of a corpus made elsewhere");
}

}  // namespace
}  // namespace phalanx
