#include "data/shards/dataset_manifest.h"

#include <gtest/gtest.h>

#include <functional>

#include "data/shards/dataset_files.h"
#include "tests/data/shards/scratch.h"

namespace phalanx {
namespace {

DatasetManifest sample() {
  DatasetManifest manifest;
  manifest.name = "books";
  manifest.kind = DatasetKind::kSynthetic;
  manifest.licence = "public domain \"as is\"";
  manifest.tokenizer = "0123456789abcdef";
  manifest.vocab_size = 8192;
  manifest.end_of_document = 8191;
  manifest.text_bytes = 400;
  manifest.packing = {"train", UINT64_MAX, 20, 10, 2, 1, {{"books/*.txt", 3, 512, 11}}};
  manifest.packing.documents_read = 11;
  manifest.packing.rejected_bad = 1;
  manifest.packing.shuffled = false;
  manifest.packing.inputs_xxh3 = 9;
  manifest.shards = {{"shard-00000", 60, 4, 120, UINT64_MAX, 1},
                     {"shard-00001", 40, 3, 80, 2, 3, 94, 7, {{512, 2, 5}, {4096, 1, 6}}}};
  return manifest;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

std::string refusal(const std::string& from, const std::string& to) {
  const std::string json = replaced(manifest_json(sample()), from, to);
  return message_of<std::invalid_argument>([&] { (void)parse_manifest(json, "d/dataset.json"); });
}

TEST(Manifest, RoundTripsEveryField) {
  const DatasetManifest read = parse_manifest(manifest_json(sample()), "m");
  EXPECT_EQ(manifest_json(read), manifest_json(sample()));
  EXPECT_EQ(read.packing.seed, UINT64_MAX);
  EXPECT_EQ(read.shards[0].bin_xxh3, UINT64_MAX);
  EXPECT_EQ(read.num_tokens(), 100);
  EXPECT_EQ(read.num_documents(), 7);
  EXPECT_EQ(read.kind, DatasetKind::kSynthetic);
  EXPECT_EQ(read.packing.inputs[0].pattern, "books/*.txt");
  EXPECT_EQ(read.packing.rejected_bad, 1);
  EXPECT_FALSE(read.packing.shuffled);
  EXPECT_EQ(read.packing.inputs_xxh3, 9u);
  EXPECT_EQ(read.shards[1].idx_bytes, 94);
  EXPECT_EQ(read.shards[1].origins_xxh3, 7);
  ASSERT_EQ(read.shards[1].bins.size(), 2u);
  EXPECT_EQ(read.shards[1].bins[1].sequence_length, 4096);
  EXPECT_EQ(read.shards[1].bins[1].num_bins, 1);
  EXPECT_EQ(read.shards[1].bins[1].xxh3, 6u);
}

TEST(Manifest, IgnoresFieldsItDoesNotKnow) {
  const std::string json =
      replaced(manifest_json(sample()), "\"name\"", "\"colour\": \"red\",\n \"name\"");
  EXPECT_EQ(parse_manifest(json, "m").name, "books");
}

TEST(Manifest, FingerprintFollowsTheTokensAndNothingElse) {
  const std::string base = sample().order_fingerprint();
  const auto changed = [&](const std::function<void(DatasetManifest&)>& change) {
    DatasetManifest manifest = sample();
    change(manifest);
    return manifest.order_fingerprint() != base;
  };
  EXPECT_TRUE(changed([](auto& m) { std::swap(m.shards[0], m.shards[1]); }));
  EXPECT_TRUE(changed([](auto& m) { m.shards[1].bin_xxh3 ^= 1; }));
  EXPECT_TRUE(changed([](auto& m) { m.shards[1].idx_xxh3 ^= 1; }));
  EXPECT_TRUE(changed([](auto& m) { m.tokenizer = "other"; }));
  EXPECT_TRUE(changed([](auto& m) { m.end_of_document = 0; }));
  EXPECT_FALSE(changed([](auto& m) { m.licence = "MIT"; }));
  EXPECT_FALSE(changed([](auto& m) { m.name = "other"; }));
  EXPECT_FALSE(changed([](auto& m) { m.packing.inputs.clear(); }));
}

TEST(BadManifest, NotJson) {
  EXPECT_NE(refusal("{", "{{").find("d/dataset.json: not valid JSON: "), std::string::npos);
  EXPECT_EQ(message_of<std::invalid_argument>([] { (void)parse_manifest("[1]", "m"); }),
            "m: expected an object, found array");
  const std::string deep(1 << 20, '[');
  EXPECT_NE(message_of<std::invalid_argument>([&] {
              (void)parse_manifest(deep, "m");
            }).find("m: not valid JSON: "),
            std::string::npos);
}

/// Found by fuzzing: the parser that tells the place throws something else then.
TEST(BadManifest, ANumberBeyondEveryRange) {
  const std::string message = refusal("\"text_bytes\": 400", "\"text_bytes\": 939e3466");
  EXPECT_TRUE(message.starts_with("d/dataset.json: not valid JSON: ")) << message;
  EXPECT_NE(message.find("939e3466"), std::string::npos) << message;
}

TEST(BadManifest, AKeyTwice) {
  EXPECT_EQ(refusal("\"name\"", "\"licence\": \"MIT\",\n \"name\""),
            "d/dataset.json: expected each key once, found licence twice");
  EXPECT_EQ(refusal("\"seed\"", "\"part\": \"train\", \"seed\""),
            "d/dataset.json: packing: expected each key once, found part twice");
}

TEST(BadManifest, AnotherFormatOrVersion) {
  EXPECT_EQ(refusal("phalanx.dataset", "webdataset"),
            "d/dataset.json: format: expected \"phalanx.dataset\", found \"webdataset\"");
  EXPECT_EQ(refusal("\"format_version\": 1", "\"format_version\": 2"),
            "d/dataset.json: format_version: expected 1, found 2");
}

TEST(BadManifest, MissingAndIllTypedFields) {
  EXPECT_EQ(refusal("\"licence\"", "\"license\""),
            "d/dataset.json: licence: expected a value, found no such field");
  EXPECT_EQ(refusal("\"books\"", "5"), "d/dataset.json: name: expected a string, found 5");
  EXPECT_EQ(refusal("\"text_bytes\": 400", "\"text_bytes\": -1"),
            "d/dataset.json: text_bytes: expected a whole number from 0 to 1152921504606846976, "
            "found -1");
  EXPECT_EQ(refusal("\"seed\": 18446744073709551615", "\"seed\": [[1]]"),
            "d/dataset.json: packing: seed: expected a whole number, found array");
  EXPECT_EQ(refusal("\"vocab_size\": 8192", "\"vocab_size\": 8192.5"),
            "d/dataset.json: vocab_size: expected a whole number from 1 to 2147483647, found "
            "8192.5");
}

TEST(BadManifest, ValuesOutsideTheirSets) {
  EXPECT_EQ(refusal("\"synthetic\"", "\"mixed\""),
            "d/dataset.json: kind: expected organic or synthetic, found \"mixed\"");
  EXPECT_EQ(refusal("\"uint16\"", "\"float32\""),
            "d/dataset.json: dtype: expected uint16 or int32, found \"float32\"");
  EXPECT_EQ(refusal("\"end_of_document\": 8191", "\"end_of_document\": 8192"),
            "d/dataset.json: end_of_document: expected a whole number from 0 to 8191, found 8192");
  EXPECT_EQ(refusal("0000000000000003", "3"),
            "d/dataset.json: shards[1]: idx_xxh3: expected 16 hexadecimal digits, found \"3\"");
}

TEST(BadManifest, CountsThatDoNotAgree) {
  EXPECT_EQ(refusal("\"tokens\": 100", "\"tokens\": 101"),
            "d/dataset.json: tokens: expected 100, the sum over the shards, found 101");
  EXPECT_EQ(refusal("\"bytes\": 80", "\"bytes\": 82"),
            "d/dataset.json: shards[1]: bytes: expected 80 for 40 tokens of uint16, found 82");
  EXPECT_EQ(refusal("\"documents_read\": 11", "\"documents_read\": 12"),
            "d/dataset.json: packing: documents_read: expected 11, written here + in the other "
            "part + rejected, found 12");
  EXPECT_EQ(refusal("\"tokens\": 60", "\"tokens\": 9223372036854775807"),
            "d/dataset.json: shards[0]: tokens: expected a whole number from 0 to 1099511627776, "
            "found 9223372036854775807");
}

TEST(BadManifest, ShardNamesThatLeaveTheFolder) {
  for (const char* name : {"../x", "/etc/x", "a/b", "", ".hidden", "..", "a\\u0000b"}) {
    const std::string message = refusal("\"shard-00001\"", std::string("\"") + name + "\"");
    EXPECT_NE(
        message.find("d/dataset.json: shards[1]: file: expected a file name without a folder"),
        std::string::npos)
        << name;
  }
}

TEST(DatasetFiles, FindsThePartsOrSaysWhatIsMissing) {
  const Scratch scratch;
  spill(scratch / "packed/train/dataset.json", "");
  spill(scratch / "packed/validation/dataset.json", "");
  spill(scratch / "plain/dataset.json", "");
  EXPECT_EQ(train_folder(scratch / "packed"), scratch / "packed/train");
  EXPECT_EQ(validation_folder(scratch / "packed"), scratch / "packed/validation");
  EXPECT_EQ(train_folder(scratch / "plain"), scratch / "plain");
  EXPECT_EQ(validation_folder(scratch / "plain"), std::nullopt);
  EXPECT_EQ(message_of<std::invalid_argument>([&] { (void)train_folder(scratch / "none"); }),
            (scratch / "none").string() +
                ": expected a data set (dataset.json or train/dataset.json in it), found neither");
}

}  // namespace
}  // namespace phalanx
