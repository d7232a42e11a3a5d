#include <gtest/gtest.h>

#include "data/shards/document_source.h"
#include "data/shards/input_paths.h"
#include "tests/data/shards/scratch.h"

namespace phalanx {
namespace {

class InputPaths : public ::testing::Test {
 protected:
  InputPaths() {
    for (const char* name : {"b.txt", "a.txt", "c.md", "sub/d.txt", "sub/deep/e.txt", ".hidden.txt",
                             "sub/.git/f.txt"}) {
      spill(scratch_ / name, name);
    }
  }
  std::vector<std::string> expand(const std::vector<std::string>& patterns) const {
    std::vector<std::string> full, found;
    for (const std::string& pattern : patterns) full.push_back((scratch_ / pattern).string());
    for (const InputFile& file : expand_inputs(full)) {
      found.push_back(file.path.lexically_relative(scratch_.folder()).string() + " " +
                      std::to_string(file.pattern));
    }
    return found;
  }
  using Names = std::vector<std::string>;

  const Scratch scratch_;
};

TEST_F(InputPaths, AreSortedAndTakenOnceByTheFirstPatternThatMatches) {
  EXPECT_EQ(expand({"b.txt", "*.txt"}), (Names{"a.txt 1", "b.txt 0"}));
}

TEST_F(InputPaths, TwoStarsMatchAnyDepthAndHiddenNamesAreLeftOut) {
  EXPECT_EQ(expand({"**/*.txt"}), (Names{"a.txt 0", "b.txt 0", "sub/d.txt 0", "sub/deep/e.txt 0"}));
  EXPECT_EQ(expand({"sub/**/e.*"}), (Names{"sub/deep/e.txt 0"}));
}

TEST_F(InputPaths, AFolderMeansAllBelowIt) {
  EXPECT_EQ(expand({"sub"}), (Names{"sub/d.txt 0", "sub/deep/e.txt 0"}));
  EXPECT_EQ(expand({"sub/"}), (Names{"sub/d.txt 0", "sub/deep/e.txt 0"}));
}

TEST_F(InputPaths, AStarDoesNotReachIntoFolders) {
  EXPECT_EQ(expand({"*"}), (Names{"a.txt 0", "b.txt 0", "c.md 0"}));
}

TEST_F(InputPaths, APatternThatMatchesNothingIsNamed) {
  const std::vector<std::string> patterns = {(scratch_ / "*.py").string()};
  EXPECT_EQ(message_of<std::invalid_argument>([&] { (void)expand_inputs(patterns); }),
            "input \"" + patterns[0] + "\": expected files, found none that match");
}

TEST_F(InputPaths, CompressedFilesAreRefused) {
  spill(scratch_ / "z.jsonl.gz", "");
  const std::vector<std::string> patterns = {(scratch_ / "z*").string()};
  EXPECT_EQ(message_of<std::invalid_argument>([&] { (void)expand_inputs(patterns); }),
            (scratch_ / "z.jsonl.gz").string() +
                ": expected plain text or .jsonl, found .gz: unpack it first");
}

std::vector<std::string> texts_of(const DocumentSource& source) {
  std::vector<std::string> texts;
  source.scan([&](const DocumentPlace& place, std::string_view text) {
    texts.emplace_back(text);
    EXPECT_EQ(source.read(place), text) << source.name(place);
  });
  return texts;
}

TEST(DocumentSource, ReadsTextFilesWholeAndJsonLineByLine) {
  const Scratch scratch;
  spill(scratch / "a.jsonl",
        "{\"text\": \"one\\n\"}\n{\"id\": 5, \"text\": \"\"}\r\n{\"text\":\"3\"}");
  spill(scratch / "b.txt", std::string("two\nlines\0and a zero", 20));
  const DocumentSource source({scratch / "a.jsonl", scratch / "b.txt"});
  EXPECT_EQ(texts_of(source), (std::vector<std::string>{
                                  "one\n", "", "3", std::string("two\nlines\0and a zero", 20)}));
}

TEST(DocumentSource, LinesAcrossReadChunksAreWhole) {
  const Scratch scratch;
  std::string file;
  std::vector<std::string> expected;
  for (const size_t size : {10u, 1000000u, 48563u, 1u, 3000000u, 0u, 1048576u, 5u}) {
    expected.push_back(std::string(size, static_cast<char>('a' + expected.size())));
    file += "{\"text\":\"" + expected.back() + "\"}\n";
  }
  spill(scratch / "a.jsonl", file);
  EXPECT_EQ(texts_of(DocumentSource({scratch / "a.jsonl"})), expected);
  spill(scratch / "a.jsonl", "");
  EXPECT_TRUE(texts_of(DocumentSource({scratch / "a.jsonl"})).empty());
}

TEST(DocumentSource, ABadLineIsNamedWithItsNumber) {
  const Scratch scratch;
  const auto refusal = [&](const std::string& line) {
    spill(scratch / "a.jsonl", "{\"text\": \"fine\"}\n" + line + "\n{\"text\": \"fine\"}\n");
    const DocumentSource source({scratch / "a.jsonl"});
    return message_of<std::invalid_argument>([&] { source.scan([](const auto&, auto) {}); });
  };
  const std::string start =
      (scratch / "a.jsonl").string() + ":2: expected a JSON object with a string \"text\", found ";
  EXPECT_EQ(refusal(""), start + "an empty line");
  EXPECT_EQ(refusal("[\"text\"]"), start + "array");
  EXPECT_EQ(refusal("{\"txt\": \"x\"}"), start + "no such field");
  EXPECT_EQ(refusal("{\"text\": 5}"), start + "text of type number");
  for (const char* bad : {"{\"text\": \"x\"", "{\"text\": \"\\ud800\"}", "{\"text\": \"\xff\"}"}) {
    EXPECT_EQ(refusal(bad).rfind(start + "invalid JSON: ", 0), 0u) << bad;
  }
}

}  // namespace
}  // namespace phalanx
