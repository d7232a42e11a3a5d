#include "launch/commands/tokenizer.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>

#include "data/tokenizer/tokenizer_file.h"
#include "tests/data/tokenizer/tokenizer_samples.h"

namespace phalanx {
namespace {

class TokenizerCommand : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = ::testing::TempDir() + "phalanx_tokenizer_command_" + std::to_string(::getpid());
    std::filesystem::create_directories(folder_ + "/text/deep");
    save_tokenizer(Tokenizer(testing::sample_parts()), folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  void write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ + "/" + name, std::ios::binary) << text;
  }
  std::string encode(const std::string& in, bool jsonl, bool specials = false) const {
    std::istringstream input(in);
    std::ostringstream output;
    tokenizer_encode({folder_, jsonl, specials}, input, output);
    return output.str();
  }
  std::string decode(const std::string& in, bool jsonl) const {
    std::istringstream input(in);
    std::ostringstream output;
    tokenizer_decode({folder_, jsonl}, input, output);
    return output.str();
  }
  std::string train(const std::vector<std::string>& inputs) const {
    std::ostringstream output;
    std::filesystem::remove_all(folder_ + "/trained");
    tokenizer_train({inputs, 262, folder_ + "/trained"}, output);
    return load_tokenizer(folder_ + "/trained")->parts().tokens[256];
  }

  std::string folder_;
};

template <typename Action>
std::string message_of(const Action& action) {
  try {
    action();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "no error";
}

/// Data that were packed with it would be useless.
TEST_F(TokenizerCommand, overwrites_no_tokenizer) {
  std::ostringstream output;
  const std::string expected = "--output: " + folder_ +
                               "/tokenizer.json: expected no tokenizer there yet, found one; name "
                               "another folder, or remove it";
  EXPECT_EQ(message_of([&] { tokenizer_train({{folder_}, 262, folder_}, output); }), expected);
  EXPECT_EQ(message_of([&] { tokenizer_convert({folder_, "", folder_}, output); }), expected);
}

TEST_F(TokenizerCommand, codes_json_lines) {
  EXPECT_EQ(encode("\"ab\"\n\"\"\n\"abab\\u0020ab\"\n", true), "[256]\n[]\n[257,260]\n");
  EXPECT_EQ(decode("[256]\n[]\n[257,260]\n", true), "\"ab\"\n\"\"\n\"abab ab\"\n");
  EXPECT_EQ(encode("\"<|pad|>\"\n", true, true), "[263]\n");
}

TEST_F(TokenizerCommand, codes_plain_input) {
  EXPECT_EQ(encode("abab ab", false), "257 260\n");
  EXPECT_EQ(decode("257 260\n", false), "abab ab");
  const std::string bytes("\xFF\0 \n", 4);
  EXPECT_EQ(decode(encode(bytes, false), false), bytes);
}

TEST_F(TokenizerCommand, lines_are_read_as_json_says) {
  EXPECT_EQ(encode("\"ab\"\r\n\"ab\"", true), "[256]\n[256]\n");  // CRLF; no line break at the end
  EXPECT_EQ(encode("", true), "");
  for (const std::string text :
       {"\"\\u0000\"", "\"\\ud83d\\ude00 \xc3\xa9\"", "\"\\n\\r\\t\\\\\\\"\""}) {
    const std::string back = decode(encode(text + "\n", true), true);
    EXPECT_EQ(nlohmann::json::parse(back), nlohmann::json::parse(text));
  }
  const std::string bytes = encode("\xFF", false);  // a byte that JSON cannot hold
  const std::string ids = "[" + bytes.substr(0, bytes.size() - 1) + "]";
  EXPECT_EQ(decode(ids + "\r\n[ ]", true), "\"\xEF\xBF\xBD\"\n\"\"\n");
}

TEST_F(TokenizerCommand, a_long_line_is_coded_whole_and_not_repeated_in_a_message) {
  std::string text;
  for (int i = 0; i < 300'000; ++i) text += "ab \xC3\xA9";
  const std::string line = "\"" + text + "\"\n";
  EXPECT_EQ(decode(encode(line, true), true), line);
  const std::string message = message_of([&] { encode("\"" + text + "\" x\n", true); });
  EXPECT_LT(message.size(), 200);
  EXPECT_TRUE(message.starts_with("standard input: line 1: not valid JSON: column ")) << message;
  EXPECT_TRUE(message.find("last read: '...") != std::string::npos) << message;
  const std::string deep = std::string(200'000, '[') + std::string(200'000, ']') + "\n";
  EXPECT_EQ(message_of([&] { encode(deep, true); }),
            "standard input: line 1: expected a JSON string, found an array in which others lie");
}

TEST_F(TokenizerCommand, broken_lines_are_named_by_number) {
  for (const std::string line :
       {"", "\"\\ud800\"", "\"a\tb\"", "\"\xFF\"", "\"a\" \"b\"", "null"}) {
    const std::string message = message_of([&] { encode("\"ab\"\n\"\"\n" + line + "\n", true); });
    EXPECT_TRUE(message.starts_with("standard input: line 3: ")) << message;
  }
  for (const std::string line :
       {"", "[1.5]", "[-1]", "[true]", "[1,]", "{\"a\":1}", "\"a\"", "[[1]]"}) {
    const std::string message = message_of([&] { decode("[256]\n" + line + "\n", true); });
    EXPECT_TRUE(message.starts_with("standard input: line 2: ")) << message;
  }
  EXPECT_TRUE(message_of([&] {
                encode("\"ab\"\n\"ab\n", true);
              }).starts_with("standard input: line 2: not valid JSON: "));
  EXPECT_EQ(message_of([&] { encode("[1]\n", true); }),
            "standard input: line 1: expected a JSON string, found [1]");
  EXPECT_EQ(message_of([&] { decode("[256]\n[256,5000000000]\n", true); }),
            "standard input: line 2: token 1: expected an id from 0 to 263, found 5000000000");
  EXPECT_EQ(
      message_of([&] { decode("[261]\n", true); }),
      "standard input: line 1: ids to decode: place 0: id 261 names no token (vocabulary of 264)");
}

TEST_F(TokenizerCommand, trains_on_folders_patterns_and_json_lines) {
  write("text/deep/one.txt", "xyxyxy");
  write("text/two.jsonl", "{\"text\": \"qz qz qz qz qz\"}\n{\"text\": \"qz\", \"id\": 1}\n");
  EXPECT_EQ(train({folder_ + "/text/deep"}), "xy");
  EXPECT_EQ(train({folder_ + "/text"}), "qz");
  EXPECT_EQ(train({folder_ + "/text/*/*.txt"}), "xy");
}

TEST_F(TokenizerCommand, training_input_that_is_missing_or_broken_is_named) {
  EXPECT_EQ(
      message_of([&] { train({"/nonexistent/*.txt"}); }),
      "--input /nonexistent/*.txt: expected a file, a folder of files or a pattern, found no file");
  write("text/two.jsonl", "{\"text\": \"qz\"}\n{\"body\": \"qz\"}\n");
  EXPECT_EQ(message_of([&] { train({folder_ + "/text"}); }),
            folder_ +
                "/text/two.jsonl:2: expected a JSON object with a string \"text\", found no such "
                "field");
  write("text/two.jsonl", "{\"text\": \"qz\"}\n");
  write("text/three.txt", "latin1: \xe9!");
  EXPECT_EQ(message_of([&] { train({folder_ + "/text"}); }),
            folder_ + "/text/three.txt: expected text in UTF-8, found byte 0xe9 at offset 8");
  write("text/three.json.gz", "no gzip");
  EXPECT_TRUE(message_of([&] {
                train({folder_ + "/text/three.json.gz"});
              }).starts_with(folder_ + "/text/three.json.gz: expected whole .gz data"));
}

TEST_F(TokenizerCommand, info_prints_size_fingerprint_and_specials) {
  std::ostringstream output;
  tokenizer_info(folder_, output);
  EXPECT_EQ(output.str(), "vocabulary   264\nfingerprint  " +
                              Tokenizer(testing::sample_parts()).fingerprint() +
                              "\npattern      cl100k\nspecial      262  <|endoftext|>\n"
                              "special      263  <|pad|>\n");
}

TEST_F(TokenizerCommand, convert_writes_the_same_tokenizer) {
  std::ostringstream output;
  tokenizer_convert({.tokenizer = folder_, .output = folder_ + "/again"}, output);
  const std::string fingerprint = Tokenizer(testing::sample_parts()).fingerprint();
  EXPECT_EQ(output.str(),
            folder_ + "/again/tokenizer.json: vocabulary 264, fingerprint " + fingerprint + "\n");
  EXPECT_EQ(load_tokenizer(folder_ + "/again")->fingerprint(), fingerprint);
  EXPECT_EQ(message_of([&] {
              tokenizer_convert({folder_, "phi4", folder_ + "/phi4"}, output);
            }),
            folder_ +
                "/tokenizer.json: expected the ranks of cl100k_base, which phi-4's specials "
                "extend, found another tokenizer");
}

}  // namespace
}  // namespace phalanx
