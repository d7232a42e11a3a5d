// Lines of JSON that hold no document, each between two good ones: named by number, with what was
// found, and the lines around it are read as if it were not there.
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <string_view>

#include "data/shards/record_reader.h"
#include "tests/data/shards/scratch.h"

namespace phalanx {
namespace {

struct BadLine {
  std::string_view line;
  std::string_view found;  // what the message begins with after "found"
};

constexpr std::string_view kInvalid = "invalid JSON: ";

constexpr BadLine kBadLines[] = {
    {"", "an empty line"},
    {" \t ", "an empty line"},
    {"\r", "an empty line"},
    {"null", "null"},
    {"true", "true or false"},
    {"5", "a number"},
    {"-0.5e3", "a number"},
    {"\"text\"", "a string"},
    {"[]", "an array"},
    {"[{\"text\": \"a\"}]", "an array"},
    {"{}", "no such field"},
    {"{\"Text\": \"a\"}", "no such field"},
    {"{\"text \": \"a\"}", "no such field"},
    {"{\"a\": {\"text\": \"a\"}}", "no such field"},
    {"{\"text\": null}", "null"},
    {"{\"text\": 5}", "a number"},
    {"{\"text\": true}", "true or false"},
    {"{\"text\": [\"a\"]}", "an array"},
    {"{\"text\": {\"a\": \"b\"}}", "an object"},
    {"{\"text\": \"a\", \"text\": \"b\"}", "2 of them"},
    {"{\"text\": \"a\", \"t\\u0065xt\": \"b\", \"text\": 1}", "3 of them"},
    {"{", kInvalid},
    {"}", kInvalid},
    {"{\"text\"", kInvalid},
    {"{\"text\":", kInvalid},
    {"{\"text\": \"a\"", kInvalid},
    {"{\"text\": \"a}", kInvalid},
    {"{\"text\": 'a'}", kInvalid},
    {"{text: \"a\"}", kInvalid},
    {"{\"text\": \"a\",}", kInvalid},
    {"{\"text\" \"a\"}", kInvalid},
    {"{\"text\": \"a\"} x", kInvalid},
    {"{\"text\": \"a\"}{\"text\": \"b\"}", kInvalid},
    {"{\"text\": \"a\"} // why", kInvalid},
    {"{\"text\": NaN}", kInvalid},
    {"{\"text\": \"a\", \"n\": 01}", kInvalid},
    {"{\"text\": \"a\", \"n\": 1e999}", kInvalid},
    {"{\"text\": \"a\tb\"}", kInvalid},
    {"{\"text\": \"\\x\"}", kInvalid},
    {"{\"text\": \"\\u12\"}", kInvalid},
    {"{\"text\": \"\\ud800\"}", kInvalid},
    {"{\"text\": \"\\udc00\\ud800\"}", kInvalid},
    {"{\"text\": \"\xff\"}", "invalid JSON: byte "},
    {"{\"text\": \"\xc3\"}", "invalid JSON: byte "},
    {"{\"text\": \"\xc0\xaf\"}", "invalid JSON: byte "},
    {"{\"text\": \"\xed\xa0\x80\"}", "invalid JSON: byte "},
    {"{\"text\": \"\xf4\x90\x80\x80\"}", "invalid JSON: byte "},
    {std::string_view("{\"text\": \"a\0b\"}", 15), kInvalid},
    {"\xef\xbb\xbf{\"text\": \"a\"}", kInvalid},  // a mark that begins no file
    {"[[[[[[[[[[[[[[[[", kInvalid},
    {"xxxx{\"text\": \"a\"}", kInvalid}};

TEST(BadLines, EachIsNamedWithWhatWasFound) {
  const Scratch scratch;
  for (const BadLine& bad : kBadLines) {
    for (const int64_t chunk_bytes : {int64_t{1} << 20, int64_t{8}}) {
      spill(scratch / "a.jsonl",
            fmt::format("{{\"text\": \"1\"}}\n{}\n{{\"text\": \"3\"}}\n", bad.line));
      std::vector<std::string> found;
      const auto reader = open_records(scratch / "a.jsonl", {.chunk_bytes = chunk_bytes});
      while (const auto chunk = reader->next()) {
        chunk->parse([&](const Record& record) {
          found.push_back(fmt::format("{}: {}{}", record.line, record.text, record.problem));
        });
      }
      ASSERT_EQ(found.size(), 3u) << bad.line;
      EXPECT_EQ(found[0], "1: 1");
      EXPECT_EQ(found[2], "3: 3");
      const std::string expected =
          fmt::format("2: expected a JSON object with a string \"text\", found {}", bad.found);
      EXPECT_TRUE(found[1].starts_with(expected)) << found[1] << " of " << bad.line;
    }
  }
}

}  // namespace
}  // namespace phalanx
