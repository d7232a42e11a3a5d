#include "data/tokenizer/tokenizer_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <system_error>

#include "tests/data/tokenizer/tokenizer_samples.h"

namespace phalanx {
namespace {

using nlohmann::json;

class TokenizerFile : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = ::testing::TempDir() + "phalanx_tokenizer_file_" + std::to_string(::getpid());
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string folder_;
};

std::string message_of_text(const std::string& text) {
  try {
    parse_tokenizer_json(text, "t.json");
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "no error";
}

// The message for the sample's file after `change`.
std::string message_after(const std::function<void(json&)>& change) {
  json root = json::parse(tokenizer_json(Tokenizer(testing::sample_parts())));
  change(root);
  return message_of_text(root.dump());
}

TEST_F(TokenizerFile, what_is_saved_loads_as_the_same_tokenizer) {
  const Tokenizer tokenizer(testing::sample_parts());
  const std::string path = save_tokenizer(tokenizer, folder_ + "/new/folder");
  for (const std::string& name : {path, folder_ + "/new/folder"}) {
    const auto loaded = load_tokenizer(name);
    EXPECT_EQ(loaded->fingerprint(), tokenizer.fingerprint());
    EXPECT_EQ(loaded->vocab_size(), 264);
    EXPECT_EQ(loaded->encode("ab abab"), tokenizer.encode("ab abab"));
    EXPECT_EQ(tokenizer_json(*loaded), tokenizer_json(tokenizer));
  }
  EXPECT_FALSE(std::filesystem::exists(path + ".partial"));
}

TEST_F(TokenizerFile, options_that_change_ids_survive) {
  TokenizerParts parts = testing::sample_parts();
  parts.pattern = SplitPattern::kCl100kTiktoken;
  parts.whole_pieces_first = true;
  parts.specials[0].strip_left = true;
  parts.specials[1].strip_right = true;
  const Tokenizer tokenizer(parts);
  const Tokenizer loaded(parse_tokenizer_json(tokenizer_json(tokenizer), "t.json"));
  EXPECT_EQ(loaded.fingerprint(), tokenizer.fingerprint());
}

TEST_F(TokenizerFile, merges_may_be_arrays_and_cuts_may_be_written_as_removal) {
  json root = json::parse(tokenizer_json(Tokenizer(testing::sample_parts())));
  for (json& merge : root["model"]["merges"]) {
    const std::string text = merge;
    merge = {text.substr(0, text.find(' ')), text.substr(text.find(' ') + 1)};
  }
  root["pre_tokenizer"]["pretokenizers"][0]["behavior"] = "Removed";
  root["pre_tokenizer"]["pretokenizers"][0]["invert"] = true;
  const Tokenizer loaded(parse_tokenizer_json(root.dump(), "t.json"));
  EXPECT_EQ(loaded.fingerprint(), Tokenizer(testing::sample_parts()).fingerprint());
}

TEST_F(TokenizerFile, missing_files_are_named) {
  try {
    load_tokenizer(folder_ + "/none.json");
    FAIL() << "no error";
  } catch (const std::system_error& error) {
    EXPECT_EQ(std::string(error.what()),
              "cannot open " + folder_ + "/none.json: No such file or directory");
  }
  try {
    load_tokenizer(folder_);
    FAIL() << "no error";
  } catch (const std::invalid_argument& error) {
    EXPECT_EQ(std::string(error.what()),
              folder_ + ": expected a tokenizer file, or a folder with tokenizer.json in it");
  }
}

TEST_F(TokenizerFile, a_folder_that_cannot_be_made_is_named) {
  std::ofstream(folder_ + "/file") << "x";
  try {
    save_tokenizer(Tokenizer(testing::sample_parts()), folder_ + "/file");
    FAIL() << "no error";
  } catch (const std::system_error& error) {
    EXPECT_NE(std::string(error.what()).find(folder_ + "/file"), std::string::npos);
  }
}

TEST(TokenizerJson, huge_and_repeated_ids_are_refused) {
  EXPECT_EQ(message_after([](json& root) { root["model"]["vocab"]["ab"] = 4'000'000'000'000; }),
            "t.json: model.vocab[\"ab\"]: expected an id of 0..2097151, found 4000000000000");
  EXPECT_EQ(message_after([](json& root) { root["model"]["vocab"]["ab"] = -1; }),
            "t.json: model.vocab[\"ab\"]: expected an id of 0..2097151, found -1");
  EXPECT_EQ(message_after([](json& root) { root["model"]["vocab"]["ab"] = 257; }),
            "t.json: model.vocab[\"abab\"]: id 257 is taken by another token");
  EXPECT_EQ(message_after([](json& root) { root["added_tokens"][1]["id"] = 262; }),
            "t.json: added_tokens[1].id: id 262 is taken by another token");
  EXPECT_EQ(message_after([](json& root) { root["model"]["vocab"]["<|pad|>"] = 261; }),
            "t.json: model.vocab[\"<|pad|>\"]: expected id 263 as in added_tokens, found 261");
}

TEST(TokenizerJson, merges_that_name_no_token_are_refused) {
  EXPECT_EQ(message_after([](json& root) { root["model"]["merges"][1] = "ab zz"; }),
            "t.json: model.merges[1]: \"zz\" is no token of model.vocab");
  EXPECT_EQ(message_after([](json& root) { root["model"]["merges"][1] = "b b"; }),
            "t.json: model.merges[1]: \"bb\" is no token of model.vocab");
  EXPECT_EQ(message_after([](json& root) { root["model"]["merges"][1] = "ab"; }),
            "t.json: model.merges[1]: expected two tokens, found \"ab\"");
  EXPECT_EQ(message_after([](json& root) {
              root["model"]["merges"][1] = {"a", "b", "c"};
            }),
            "t.json: model.merges[1]: expected two tokens, found [\"a\",\"b\",\"c\"]");
  EXPECT_EQ(message_after([](json& root) { root["model"]["vocab"]["a b"] = 261; }),
            "t.json: model.vocab[\"a b\"]: expected characters of the byte-level alphabet only");
}

TEST(TokenizerJson, missing_and_unknown_fields_are_named) {
  EXPECT_EQ(message_after([](json& root) { root.erase("model"); }),
            "t.json: top level: field \"model\" is missing");
  EXPECT_EQ(message_after([](json& root) { root["model"].erase("merges"); }),
            "t.json: model: field \"merges\" is missing");
  EXPECT_EQ(message_after([](json& root) { root["model"]["merge"] = 1; }),
            "t.json: model: unknown field \"merge\"");
  EXPECT_EQ(message_after([](json& root) { root["model"]["type"] = "Unigram"; }),
            "t.json: model.type: expected \"BPE\", found \"Unigram\"");
  EXPECT_EQ(message_after([](json& root) {
              root["normalizer"] = {{"type", "NFKC"}};
            }),
            "t.json: normalizer.type: expected no normalizer or \"NFC\", found \"NFKC\"");
  EXPECT_EQ(message_after([](json& root) {
              root["pre_tokenizer"] = {{"type", "Whitespace"}};
            }),
            "t.json: pre_tokenizer.type: expected \"ByteLevel\", or \"Sequence\" of Split and "
            "ByteLevel, found \"Whitespace\"");
  EXPECT_EQ(message_after(
                [](json& root) { root["pre_tokenizer"]["pretokenizers"][1]["use_regex"] = true; }),
            "t.json: pre_tokenizer.pretokenizers[1].use_regex: expected false, found true");
}

TEST(TokenizerJson, another_pattern_is_refused_with_the_names_of_the_known_ones) {
  EXPECT_EQ(message_after([](json& root) {
              root["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = "\\s+";
            }),
            "t.json: pre_tokenizer.pretokenizers[0].pattern.Regex: expected the expression of a "
            "known pattern (cl100k, cl100k-tiktoken, o200k, gpt2, qwen2), found \"\\\\s+\"");
}

TEST(TokenizerJson, every_pattern_and_option_survives) {
  for (const SplitPattern pattern :
       {SplitPattern::kCl100k, SplitPattern::kCl100kTiktoken, SplitPattern::kO200k,
        SplitPattern::kGpt2, SplitPattern::kQwen2}) {
    TokenizerParts parts = testing::sample_parts();
    parts.pattern = pattern;
    parts.nfc = pattern == SplitPattern::kQwen2;
    parts.prefix_space = pattern == SplitPattern::kGpt2;
    parts.specials[0].normalized = true;
    parts.specials[1].in_any_text = true;
    const Tokenizer tokenizer(parts);
    const Tokenizer loaded(parse_tokenizer_json(tokenizer_json(tokenizer), "t.json"));
    EXPECT_EQ(loaded.fingerprint(), tokenizer.fingerprint()) << split_pattern_name(pattern);
  }
}

TEST(TokenizerJson, doubled_keys_are_refused_in_the_vocabulary_too) {
  const std::string text = tokenizer_json(Tokenizer(testing::sample_parts()));
  const auto with = [&text](const std::string& entry) {
    std::string changed = text;
    changed.insert(changed.find("\"vocab\": {") + 10, entry);
    return message_of_text(changed);
  };
  EXPECT_EQ(with("\"ab\": 261, "), "t.json: key ab occurs twice");
  EXPECT_EQ(with("\"ab\": 256, "), "t.json: model.vocab[\"ab\"]: id 256 is taken by another token");
}

TEST(TokenizerJson, text_that_is_no_json_is_refused_with_the_place) {
  EXPECT_TRUE(message_of_text("{\"version\": ").starts_with("t.json: not valid JSON: "))
      << message_of_text("{");
  EXPECT_EQ(message_of_text("[]"), "t.json: top level: expected an object, found []");
  EXPECT_EQ(message_of_text(R"({"a": 1, "a": 2})"), "t.json: key a occurs twice");
  EXPECT_EQ(message_of_text(std::string(1'000'000, '[')), "t.json: nested deeper than 16 levels");
  EXPECT_EQ(message_of_text(std::string("[]\0, the rest", 13)),
            "t.json: byte 2: expected JSON, found a zero");
}

TEST(RankFile, broken_lines_are_refused_with_their_number) {
  const auto message = [](const std::string& text) -> std::string {
    try {
      parse_ranks(text, "c.tiktoken");
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "no error";
  };
  EXPECT_EQ(message("IQ== 0\nIg= 1\n"),
            "c.tiktoken: line 2: expected a token in base64, one space and a rank");
  EXPECT_EQ(message("IQ== 0\nIg== 0\n"), "c.tiktoken: line 2: rank 0 appears twice");
  EXPECT_EQ(message("IQ== 199998\n"),
            "c.tiktoken: line 1: expected a rank of 0..199997, found 199998");
  EXPECT_EQ(message("IQ== 0\n"),
            "c.tiktoken: expected the 100256 ranks of cl100k_base or the 199998 of o200k_base, "
            "found 1");
}

std::string base64(const std::string& bytes) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  uint32_t bits = 0;
  for (size_t i = 0; i < 3; ++i) {
    bits = bits << 8 | (i < bytes.size() ? static_cast<unsigned char>(bytes[i]) : 0u);
  }
  for (size_t i = 0; i < 4; ++i) {
    text += i <= bytes.size() ? kDigits[bits >> (18 - 6 * i) & 63] : '=';
  }
  return text;
}

// As many ranks as cl100k has: bytes, all pairs of them, and threes, which can be cut in two ways.
std::string many_ranks() {
  std::string text;
  for (uint32_t rank = 0; rank < 100256; ++rank) {
    const uint32_t value = rank < 256 ? rank : rank < 65792 ? rank - 256 : rank - 65792;
    const size_t size = rank < 256 ? 1 : rank < 65792 ? 2 : 3;
    std::string bytes;
    for (size_t i = size; i-- > 0;) bytes += static_cast<char>(value >> (8 * i));
    text += base64(bytes) + " " + std::to_string(rank) + "\n";
  }
  return text;
}

TEST(RankFile, data_of_versions_that_listed_all_merges_is_its_own) {
  const Tokenizer tokenizer(parse_ranks(many_ranks(), "c.tiktoken"), "c.tiktoken");
  const std::string earlier =
      "48866178c4571dec";  // what the version of 2026-11-26 printed for this file
  EXPECT_NE(tokenizer.fingerprint(), earlier);
  EXPECT_TRUE(tokenizer.made(earlier));
  EXPECT_TRUE(tokenizer.made(tokenizer.fingerprint()));
  EXPECT_FALSE(tokenizer.made("0123456789abcdef"));
  EXPECT_FALSE(Tokenizer(testing::sample_parts()).made(earlier));
}

TEST(RankFile, phi4_extends_cl100k_only) {
  try {
    phi4_parts(testing::sample_parts(), "t.json");
    FAIL() << "no error";
  } catch (const std::invalid_argument& error) {
    EXPECT_EQ(std::string(error.what()),
              "t.json: expected the ranks of cl100k_base, which phi-4's specials extend, found "
              "another tokenizer");
  }
}

}  // namespace
}  // namespace phalanx
