#include <algorithm>
#include <cmath>
#include <set>
#include <system_error>

#include "data/shards/dataset_verify.h"
#include "data/shards/origins.h"
#include "data/shards/pack_finish.h"
#include "data/shards/pack_run.h"
#include "tests/data/shards/pack_sample.h"
#include "tests/data/shards/packed_bytes.h"

namespace phalanx {
namespace {

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
    EXPECT_EQ(part.packing.rejected_bad, 0);
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

TEST_F(Pack, MakesRowsOfWholeDocumentsForTheLengthsAskedFor) {
  pack("plain");
  options_.bin_lengths = {30, 50};
  const PackResult binned = pack("binned");
  std::map<std::string, std::string> files = bytes_of_tree(scratch_ / "binned");
  for (const auto& [name, bytes] : bytes_of_tree(scratch_ / "plain")) {
    if (!name.ends_with(".bin") && !name.ends_with(".idx")) continue;
    EXPECT_EQ(files[name], bytes) << name;
  }
  ASSERT_GT(binned.train.shards.size(), 3u);
  for (const ShardEntry& shard : binned.train.shards) {
    ASSERT_EQ(shard.bins.size(), 2u);
    EXPECT_EQ(shard.bins[1].sequence_length, 50);
    EXPECT_GT(shard.bins[0].num_bins, shard.bins[1].num_bins);
    EXPECT_TRUE(files.contains("train/" + shard.file + ".bins-50"));
  }
  EXPECT_EQ(verify_dataset(DatasetReader(scratch_ / "binned/train"), {}),
            std::vector<std::string>());
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
  spill(scratch_ / "few/a.jsonl",
        "{\"text\": \"short\"}\n{\"text\": \"" + std::string(24, 'x') + "\"}\n");
  spill(scratch_ / "few/b.txt", "not so short: this is 25.");
  spill(scratch_ / "few/c.txt", "23 with the end of it..");
  options_.inputs = {(scratch_ / "few").string()};
  options_.max_bad_lines = 1;
  EXPECT_NE(message_of<std::invalid_argument>([&] { pack("others"); }), "");
  options_.max_bad_lines = 2;
  EXPECT_EQ(pack("others").train.packing.rejected_bad, 2);
}

TEST_F(Pack, TextThatIsNotUtf8IsABadRecordInAnyFormat) {
  spill(scratch_ / "in/c.txt", "caf\xc3\xa9 \xe2\x82\xac, then latin1: caf\xe9 and more");
  const std::string problem = "expected text in UTF-8, found byte 0xe9 at offset 27";
  EXPECT_EQ(message_of<std::invalid_argument>([&] { pack("out"); }),
            (scratch_ / "in/c.txt").string() + ": " + problem);
  spill(scratch_ / "in/d.txt", "cut off in the middle: \xe2\x82");
  options_.max_bad_lines = 2;
  EXPECT_EQ(pack("both").train.packing.rejected_bad, 2);
  const std::string listed = slurp(scratch_ / "both" / std::string(kRejectedName));
  EXPECT_NE(listed.find("\"line\":0,\"problem\":\"" + problem), std::string::npos) << listed;
  EXPECT_NE(listed.find("found byte 0xe2 at offset 23"), std::string::npos) << listed;
}

TEST_F(Pack, TheFormatIsThatOfAllInputsAndOfTheJob) {
  spill(scratch_ / "lines/RC_2020.zst", zstd("{\"text\": \"x\"}\n{\"text\": \"y\"}\n"));
  spill(scratch_ / "lines/part-00000", "{\"text\": \"z\"}\n");
  options_.inputs = {(scratch_ / "lines").string()};
  options_.format = FileFormat::kLines;
  EXPECT_EQ(pack("out").train.packing.documents_read, 3);
  options_.output = scratch_ / "half";
  PackJob(options_, byte_tokenizer(), {}).encode_units({});
  options_.format = FileFormat::kText;
  EXPECT_NE(message_of<std::invalid_argument>([&] { pack("half"); })
                .find("input_format: expected \"jsonl\", as the packing there began, found "
                      "\"text\""),
            std::string::npos);
}

TEST_F(Pack, NeverWritesIntoAFolderThatIsThere) {
  spill(scratch_ / "out/mine", "precious");
  EXPECT_EQ(message_of<std::invalid_argument>([&] { pack("out"); }),
            "output " + (scratch_ / "out").string() +
                ": expected a new folder, found one that is there already: choose another or "
                "remove it");
  EXPECT_EQ(slurp(scratch_ / "out/mine"), "precious");
}

TEST_F(Pack, AFileThatChangesWhileItIsPackedIsNoticed) {
  options_.num_threads = 2;
  PackTokenizer tokenizer = byte_tokenizer();
  tokenizer.make_encoder = [this, make = byte_tokenizer().make_encoder] {
    spill(scratch_ / "in/b.txt", "another text\nof another length");
    return make();
  };
  EXPECT_EQ(message_of<std::invalid_argument>([&] { pack_dataset(options_, tokenizer, {}); }),
            (scratch_ / "in/b.txt").string() +
                ": expected 24 bytes, as when packing began, found 30: the file was changed while "
                "it was packed");
  EXPECT_FALSE(std::filesystem::exists(scratch_ / "out"));
}

TEST_F(Pack, ReportsProgressUpToTheLastToken) {
  std::map<PackProgress::Stage, PackProgress> last;
  const PackResult result =
      pack_dataset(options_, byte_tokenizer(), [&](const PackProgress& p) { last[p.stage] = p; });
  const PackProgress& tokenizing = last[PackProgress::Stage::kTokenizing];
  EXPECT_EQ(tokenizing.done, result.train.packing.inputs[0].bytes);
  EXPECT_EQ(tokenizing.total, tokenizing.done);
  const PackProgress& writing = last[PackProgress::Stage::kWriting];
  EXPECT_EQ(writing.done, result.train.num_tokens() + result.validation->num_tokens());
  EXPECT_EQ(writing.total, writing.done);
}

TEST_F(Pack, OrderIsTheDocumentedHash) {
  options_.inputs = {(scratch_ / "in/a.jsonl").string()};
  options_.validation_per_mille = 0;
  pack("out");
  std::vector<std::tuple<uint64_t, int64_t>> expected;
  for (int64_t line = 1; line <= 480; ++line) {
    if (line > 2 && (line - 1) % 12 == 2) continue;  // empty
    const std::array<int64_t, 2> place = {0, line};
    expected.emplace_back(xxh3(std::as_bytes(std::span(place)), options_.seed), line);
  }
  std::sort(expected.begin(), expected.end());
  const auto reader = std::make_shared<const DatasetReader>(scratch_ / "out/train");
  const OriginReader origins(reader);
  const int64_t documents = reader->manifest().num_documents();
  ASSERT_EQ(documents, 440);
  ASSERT_EQ(expected.size(), 440u);
  for (int64_t i = 0; i < documents; ++i) {
    EXPECT_EQ(origins.find(i)->line, std::get<1>(expected[static_cast<size_t>(i)])) << i;
  }
}

TEST_F(Pack, EveryDocumentsOriginIsItsFileAndLine) {
  pack("out");
  std::map<std::pair<std::string, int64_t>, std::string> texts;  // by origin
  for (const char* part : {"out/train", "out/validation"}) {
    const auto reader = std::make_shared<const DatasetReader>(scratch_ / part);
    const OriginReader origins(reader);
    const std::vector<std::string> documents = documents_of(scratch_ / part);
    for (size_t i = 0; i < documents.size(); ++i) {
      const DocumentOrigin origin = origins.find(static_cast<int64_t>(i)).value();
      EXPECT_TRUE(texts.try_emplace({origin.file, origin.line}, documents[i]).second);
    }
    const auto count = static_cast<int64_t>(documents.size());
    EXPECT_NE(message_of<std::invalid_argument>([&] { (void)origins.find(count); }), "");
  }
  ASSERT_EQ(texts.size(), 441u);
  const std::string file = (scratch_ / "in/a.jsonl").string();
  EXPECT_EQ((texts[{file, 1}]), "document 0");
  EXPECT_EQ((texts[{file, 2}]), "document 0");
  EXPECT_EQ((texts[{file, 480}]), "document 399" + std::string(399 % 17, '.'));
  EXPECT_EQ((texts[{(scratch_ / "in/b.txt").string(), 0}]), "a text file\nof two lines");
}

TEST_F(Pack, ADataSetWithoutOriginsHasNone) {
  PackResult result = pack("out");
  for (ShardEntry& shard : result.train.shards) shard.origins_xxh3.reset();
  spill(scratch_ / "out/train/dataset.json", manifest_json(result.train));
  const OriginReader origins(std::make_shared<const DatasetReader>(scratch_ / "out/train"));
  EXPECT_FALSE(origins.find(0).has_value());
}

TEST_F(Pack, DamagedOriginsAreRefused) {
  pack("out");
  const std::filesystem::path path = scratch_ / "out/train/shard-00000.origins";
  const std::string bytes = slurp(path);
  spill(path, bytes.substr(0, bytes.size() - 1) + '\x7f');
  const auto problems = verify_dataset(DatasetReader(scratch_ / "out/train"), {});
  ASSERT_EQ(problems.size(), 1u);
  EXPECT_EQ(problems[0].rfind(path.string() + ": XXH3: expected ", 0), 0u) << problems[0];
  spill(path, slurp(path).substr(1));
  const OriginReader origins(std::make_shared<const DatasetReader>(scratch_ / "out/train"));
  const std::string message = message_of<std::invalid_argument>([&] { (void)origins.find(0); });
  EXPECT_EQ(message.rfind(path.string() + ": expected the origins of ", 0), 0u) << message;
}

TEST_F(Pack, AChangedListOfInputFilesIsFound) {
  pack("out");
  const std::filesystem::path path = scratch_ / "out/train/inputs.txt";
  const std::string list = slurp(path), other = "/elsewhere" + list;
  spill(path, other);
  EXPECT_EQ(verify_dataset(DatasetReader(scratch_ / "out/train"), {}),
            std::vector<std::string>{path.string() + ": XXH3: expected " + hash_text(xxh3(list)) +
                                     ", found " + hash_text(xxh3(other))});
}

TEST_F(Pack, PackedInputGivesTheSameTokensInAnotherOrderOnlyByItsName) {
  const std::string lines = slurp(scratch_ / "in/a.jsonl");
  std::vector<std::vector<std::string>> found;
  for (const std::string kind : {"", ".gz", ".zst"}) {
    spill(scratch_ / ("packed" + kind) / ("a.jsonl" + kind), kind.empty()    ? lines
                                                             : kind == ".gz" ? gzip(lines)
                                                                             : zstd(lines));
    options_.inputs = {(scratch_ / ("packed" + kind)).string()};
    pack("out" + kind);
    found.push_back(documents_of(scratch_ / ("out" + kind + "/train")));
  }
  EXPECT_EQ(found[0], found[1]);
  EXPECT_EQ(found[0], found[2]);
}

TEST_F(Pack, BadLinesAreCountedNamedAndLimited) {
  const std::string file = (scratch_ / "in/c.jsonl").string();
  spill(file, "{\"text\": \"x\"}\nnot json\n{\"text\": \"y\"}\n{\"txt\": 1}\n");
  const std::string first = message_of<std::invalid_argument>([&] { pack("out"); });
  EXPECT_EQ(first.rfind(file + ":2: expected a JSON object with a string \"text\", found ", 0), 0u)
      << first;
  options_.max_bad_lines = 1;
  EXPECT_EQ(message_of<std::invalid_argument>([&] { pack("out"); }),
            file +
                ":4: expected a JSON object with a string \"text\", found no such field (more "
                "than the 1 bad line allowed)");
  options_.max_bad_lines = 2;
  const PackResult result = pack("out");
  EXPECT_EQ(result.train.packing.rejected_bad, 2);
  EXPECT_EQ(result.train.packing.documents_read, 481 + 4);
  EXPECT_EQ(result.train.num_documents() + result.validation->num_documents() + 40 + 2, 481 + 4);
  const std::string listed = slurp(scratch_ / "out" / std::string(kRejectedName));
  EXPECT_EQ(std::count(listed.begin(), listed.end(), '\n'), 2);
  EXPECT_NE(listed.find("{\"file\":\"" + file + "\",\"line\":4,\"problem\":\"expected a JSON "),
            std::string::npos)
      << listed;
}

TEST_F(Pack, TheLimitOfBadLinesIsThatOfAllUnits) {
  for (int i = 0; i < 4; ++i) spill(scratch_ / ("in/bad" + std::to_string(i) + ".jsonl"), "bad\n");
  options_.unit_bytes = 1;
  options_.max_bad_lines = 3;
  const auto fourth = [](const std::string& message) {
    return message.find("bad3.jsonl:1: ") != std::string::npos;
  };
  {  // noticed by the unit that holds the fourth
    PackJob job(options_, byte_tokenizer(), {});
    EXPECT_TRUE(fourth(message_of<std::invalid_argument>([&] { job.encode_units({}); })));
  }
  options_.max_bad_lines = 4;
  PackJob(options_, byte_tokenizer(), {}).encode_units({});
  options_.max_bad_lines = 3;
  {  // and when all are known, since processes do not see what others meet meanwhile
    PackJob job(options_, byte_tokenizer(), {});
    EXPECT_TRUE(fourth(message_of<std::invalid_argument>([&] { job.plan_shards(); })));
  }
  options_.max_bad_lines = 4;
  EXPECT_EQ(pack("out").train.packing.rejected_bad, 4);
}

}  // namespace
}  // namespace phalanx
