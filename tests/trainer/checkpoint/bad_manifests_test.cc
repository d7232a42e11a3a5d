// Manifests of checkpoints, each with one thing wrong, under a right hash: what is refused, by
// name.
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>

#include "data/block_hash.h"
#include "tests/trainer/checkpoint/support.h"
#include "trainer/checkpoint/manifest.h"

namespace phalanx {
namespace {

using nlohmann::json;

Manifest sample() {
  Manifest manifest;
  manifest.step = 7;
  manifest.tokens = 700;
  manifest.files = {{"a.safetensors", {100, {1}}},
                    {"b.safetensors", {kHashBlockBytes + 1, {2, 3}}}};
  manifest.tensors["w"] = {{4, 6},
                           {{"a.safetensors", 0, {0, 3}, {0, 10}},
                            {"b.safetensors", 0, {0, 3}, {10, 18}},
                            {"b.safetensors", 0, {3, 4}, {0, 6}}}};
  return manifest;
}

std::string error_of(const json& whole) {
  return message_of([&] { check_coverage(parse_checkpoint_manifest(whole.dump(), "m"), "m"); });
}

/// With the hash of its body, as a writer gives it.
json hashed(json whole) {
  whole["xxh3"] = hash_text(xxh3(whole["checkpoint"].dump()));
  return whole;
}

struct BadManifest {
  const char* place;  // JSON pointer
  const char* value;  // JSON; empty: the member is removed
  std::string message;
};

const std::string kMissing = "expected a value, found no such field";
const std::string kCount = "expected a whole number from 0 to 1152921504606846976, found ";

TEST(BadManifests, WhatIsAroundTheBody) {
  const json good = json::parse(manifest_text(sample()));
  EXPECT_EQ(error_of(good), "");
  const std::vector<BadManifest> table = {
      {"/format", "", "m: format: " + kMissing},
      {"/format", "5", "m: format: expected a string, found 5"},
      {"/format", "\"safetensors\"",
       "m: format: expected \"phalanx checkpoint\", found \"safetensors\""},
      {"/version", "", "m: version: " + kMissing},
      {"/version", "2", "m: version: expected 1, found 2"},
      {"/version", "1.0", "m: version: " + kCount + "1.0"},
      {"/version", "18446744073709551615", "m: version: " + kCount + "18446744073709551615"},
      {"/xxh3", "", "m: xxh3: " + kMissing},
      {"/xxh3", "\"12\"", "m: xxh3: expected 16 hexadecimal digits, found \"12\""},
      {"/xxh3", "\"000000000000000g\"",
       "m: xxh3: expected 16 hexadecimal digits, found \"000000000000000g\""},
      {"/checkpoint", "", "m: checkpoint: " + kMissing},
      {"/checkpoint/step", "8", "the file is damaged"}};
  for (const BadManifest& bad : table) {
    json whole = good;
    const json::json_pointer place(bad.place);
    if (*bad.value == '\0') {
      whole.erase(place.back());
    } else {
      whole[place] = json::parse(bad.value);
    }
    EXPECT_CONTAINS(error_of(whole), bad.message) << bad.place << " " << bad.value;
  }
  EXPECT_EQ(error_of(json::array()), "m: expected an object, found array");
}

void expect_refused(const std::vector<BadManifest>& table) {
  const json good = json::parse(manifest_text(sample()));
  for (const BadManifest& bad : table) {
    json whole = good;
    const json::json_pointer place(std::string("/checkpoint") + bad.place);
    if (*bad.value == '\0') {
      whole[place.parent_pointer()].erase(place.back());
    } else {
      whole[place] = json::parse(bad.value);
    }
    EXPECT_EQ(error_of(hashed(whole)), bad.message) << bad.place << " " << bad.value;
  }
}

TEST(BadManifests, CountsAndTheModel) {
  expect_refused({
      {"/step", "", "m: step: " + kMissing},
      {"/step", "\"7\"", "m: step: " + kCount + "\"7\""},
      {"/step", "7.5", "m: step: " + kCount + "7.5"},
      {"/step", "-1", "m: step: " + kCount + "-1"},
      {"/tokens", "null", "m: tokens: " + kCount + "null"},
      {"/tokens", "-700", "m: tokens: " + kCount + "-700"},
      {"/saved_at", "-1", "m: saved_at: " + kCount + "-1"},
      {"/world", "[1, 1]", "m: world: expected an object, found array"},
      {"/world/tensor_parallel_size", "", "m: world: tensor_parallel_size: " + kMissing},
      {"/world/tensor_parallel_size", "0",
       "m: world: tensor_parallel_size: expected a whole number from 1 to 1152921504606846976, "
       "found "
       "0"},
      {"/world/data_parallel_size", "true",
       "m: world: data_parallel_size: expected a whole number from 1 to 1152921504606846976, found "
       "true"},
      {"/weights_only", "1", "m: weights_only: expected true or false, found 1"},
      {"/model", "", "m: model: " + kMissing},
      {"/model", "5", "m: model: expected an object, found number"},
      {"/model/hidden_size", "", "m: model: hidden_size: " + kMissing},
      {"/model/hidden_size", "1e3", "m: model: hidden_size: " + kCount + "1000.0"},
      {"/model/rms_norm_eps", "\"small\"",
       "m: model: rms_norm_eps: expected a number, found \"small\""},
      {"/model/tie_word_embeddings", "1",
       "m: model: tie_word_embeddings: expected true or false, found 1"},
      {"/model/rope_scaling", "{\"type\": \"yarn\"}",
       "m: model: rope_scaling: type: expected longrope, found yarn"},
      {"/model/rope_scaling", "{\"type\": \"longrope\", \"short_factor\": [1, \"2\"]}",
       "m: model: rope_scaling: short_factor[1]: expected a number, found \"2\""},
  });
}

TEST(BadManifests, Files) {
  const std::string over(256, 'a');
  const std::string long_name = fmt::format("{{\"{}\": {{\"bytes\": 0, \"xxh3\": []}}}}", over);
  const std::string long_message = fmt::format("m: file {}: expected a plain file name", over);
  std::vector<BadManifest> table = {
      {"/files", "", "m: files: " + kMissing},
      {"/files", "[{\"bytes\": 0, \"xxh3\": []}]", "m: files: expected an object, found array"},
      {"/files/a.safetensors", "5", "m: file a.safetensors: expected an object, found number"},
      {"/files/a.safetensors/bytes", "", "m: file a.safetensors: bytes: " + kMissing},
      {"/files/a.safetensors/bytes", "-1", "m: file a.safetensors: bytes: " + kCount + "-1"},
      {"/files/a.safetensors/bytes", "1152921504606846976",
       "m: file a.safetensors: expected one hash for each 16777216 bytes, found 1 for "
       "1152921504606846976 bytes"},
      {"/files/a.safetensors/bytes", "9223372036854775807",
       "m: file a.safetensors: bytes: " + kCount + "9223372036854775807"},
      {"/files/a.safetensors/xxh3", "\"0000000000000001\"",
       "m: file a.safetensors: xxh3: expected a list, found string"},
      {"/files/a.safetensors/xxh3", "[1]",
       "m: file a.safetensors: xxh3[0]: expected a string, found 1"},
      {"/files/b.safetensors/xxh3", "[\"0000000000000001\"]",
       "m: file b.safetensors: expected one hash for each 16777216 bytes, found 1 for 16777217 "
       "bytes"},
      {"/files", long_name.c_str(), long_message}};
  for (const char* name : {"", ".", "..", ".hidden", "../a", "/etc/passwd", "a/b", "a\\u0000b",
                           "a b", "a\\nb", "\\u00e4"}) {
    const std::string files = fmt::format("{{\"{}\": {{\"bytes\": 0, \"xxh3\": []}}}}", name);
    const std::string message = fmt::format("m: file {}: expected a plain file name", name);
    json whole = json::parse(manifest_text(sample()));
    whole["checkpoint"]["files"] = json::parse(files);
    EXPECT_EQ(error_of(hashed(whole)), message);
  }
  expect_refused(table);
}

TEST(BadManifests, Tensors) {
  expect_refused({
      {"/tensors", "null", "m: tensors: expected an object, found null"},
      {"/tensors/w", "[]", "m: tensor w: expected an object, found array"},
      {"/tensors/w/shape", "", "m: tensor w: shape: " + kMissing},
      {"/tensors/w/shape", "{\"a\": 4, \"b\": 6}",
       "m: tensor w: shape: expected a list, found object"},
      {"/tensors/w/shape", "[4, -6]", "m: tensor w: shape: " + kCount + "-6"},
      {"/tensors/w/shape", "[4294967296, 4294967296]",
       "m: tensor w: the shape [4294967296, 4294967296] is impossible"},
      {"/tensors/w/shape", "[]", "m: tensor w: expected a dimension"},
      {"/tensors/w/shape", "[5, 6]",
       "m: tensor w: rectangles: expected ranges up to 5, found them to end at 4"},
      {"/tensors/w/shape", "[4, 7]",
       "m: tensor w: elements: expected ranges up to 21, found them to end at 18"},
      {"/tensors/w/pieces", "{}", "m: tensor w: pieces: expected a list, found object"},
      {"/tensors/w/pieces", "[]",
       "m: tensor w: rectangles: expected ranges up to 4, found them to end at 0"},
      {"/tensors/w/pieces/0", "5", "m: tensor w: pieces[0]: expected an object, found number"},
      {"/tensors/w/pieces/0/file", "\"../a\"", "m: tensor w: file ../a is not listed"},
      {"/tensors/w/pieces/0/dim", "2", "m: tensor w: dim 2 does not exist"},
      {"/tensors/w/pieces/0/dim", "-1", "m: tensor w: pieces[0]: dim: " + kCount + "-1"},
      {"/tensors/w/pieces/1/dim", "1", "m: tensor w: expected pieces cut on dim 0, found dim 1"},
      {"/tensors/w/pieces/0/rectangle", "[0]",
       "m: tensor w: pieces[0]: rectangle: expected [begin, end], found 1 values"},
      {"/tensors/w/pieces/0/rectangle", "[0, 2]",
       "m: tensor w: rectangles: expected a range that begins at 2, found [0, 3)"},
      {"/tensors/w/pieces/2/rectangle", "[3, 1152921504606846976]",
       "m: tensor w: rectangles: expected ranges up to 4, found them to end at "
       "1152921504606846976"},
      {"/tensors/w/pieces/2/rectangle", "[3, 9223372036854775807]",
       "m: tensor w: pieces[2]: rectangle: " + kCount + "9223372036854775807"},
      {"/tensors/w/pieces/0/elements", "[1, 10]",
       "m: tensor w: elements: expected a range that begins at 0, found [1, 10)"},
      {"/tensors/w/pieces/0/elements", "[0, 9]",
       "m: tensor w: elements: expected a range that begins at 9, found [10, 18)"},
      {"/tensors/w/pieces/1/elements", "[10, -18]",
       "m: tensor w: pieces[1]: elements: " + kCount + "-18"},
      {"/tensors/w/pieces/1/elements", "[10, 8]",
       "m: tensor w: elements: expected a range that begins at 10, found [10, 8)"},
      {"/tensors/w/source_dtype", "\"F33\"", "m: tensor w: unknown source_dtype F33"},
      {"/tensors/w/source_dtype", "5", "m: tensor w: source_dtype: expected a string, found 5"},
  });
}

// No value holds a key twice: the text is changed, and its hash is that of the changed one.
TEST(BadManifests, AKeyTwice) {
  const std::vector<std::array<const char*, 2>> table = {
      {"\"step\":7", "m: expected each key once, found step twice"},
      {"\"bytes\":100", "m: file a.safetensors: expected each key once, found bytes twice"},
      {"\"a.safetensors\":{\"bytes\":100,\"xxh3\":[\"0000000000000001\"]}",
       "m: files: expected each key once, found a.safetensors twice"},
      {"\"head_dim\":128", "m: model: expected each key once, found head_dim twice"},
      {"\"data_parallel_size\":1",
       "m: world: expected each key once, found data_parallel_size twice"},
      {"\"shape\":[4,6]", "m: tensor w: expected each key once, found shape twice"},
      {"\"elements\":[0,10]",
       "m: tensor w: pieces[0]: expected each key once, found elements twice"}};
  const json whole = json::parse(manifest_text(sample()));
  for (const auto& [member, message] : table) {
    std::string body = whole["checkpoint"].dump();
    const size_t at = body.find(member);
    ASSERT_NE(at, std::string::npos) << member;
    body.insert(at, std::string(member) + ",");
    const std::string text =
        fmt::format(R"({{"format":"phalanx checkpoint","version":1,"xxh3":"{}","checkpoint":{}}})",
                    hash_text(xxh3(body)), body);
    EXPECT_EQ(message_of([&] { (void)parse_checkpoint_manifest(text, "m"); }), message);
  }
}

}  // namespace
}  // namespace phalanx
