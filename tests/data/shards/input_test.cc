#include <gtest/gtest.h>

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

TEST_F(InputPaths, KindsThatAreNotReadAreRefused) {
  const auto refusal = [&](const std::string& name) {
    spill(scratch_ / name, "");
    const std::vector<std::string> patterns = {(scratch_ / name).string()};
    const std::string message =
        message_of<std::invalid_argument>([&] { (void)expand_inputs(patterns); });
    EXPECT_EQ(message.rfind(patterns[0] + ": expected ", 0), 0u) << message;
    return message.substr(patterns[0].size());
  };
  for (const std::string kind :
       {".xz", ".bz2", ".zip", ".tgz", ".tar", ".arrow", ".lz4", ".7z", ".br", ".rar"}) {
    EXPECT_EQ(refusal("z" + kind),
              ": expected JSON lines, Parquet or text (the first and the last as .gz or .zst too), "
              "found " +
                  kind + ": unpack or convert it first");
  }
  EXPECT_NE(refusal("Z.TAR.GZ").find("found .tar: unpack"), std::string::npos);
  EXPECT_NE(refusal("z.parquet.gz").find("found .gz"), std::string::npos);
  EXPECT_EQ(refusal("RC_2020.zst"),
            ": expected a name that says what is packed, such as RC_2020.jsonl.zst, found none: "
            "rename it, or say --format jsonl or --format text");
  EXPECT_NE(refusal("a\nb.txt").find("a path without a line break"), std::string::npos);
}

TEST_F(InputPaths, WhatAFileHoldsIsSaidByItsNameOrByTheUser) {
  using Format = FileFormat;
  const std::vector<std::pair<std::string, Format>> expected = {{"c4.json.gz", Format::kLines},
                                                                {"a.JSONL", Format::kLines},
                                                                {"pile.jsonl.zstd", Format::kLines},
                                                                {"a.NdJson", Format::kLines},
                                                                {"a.Parquet", Format::kParquet},
                                                                {"README", Format::kText},
                                                                {"json", Format::kText},
                                                                {"book.txt.GZ", Format::kText}};
  for (const auto& [name, format] : expected) EXPECT_EQ(format_of(name, Format::kAuto), format);
  EXPECT_EQ(format_of("RC_2020.zst", Format::kText), Format::kText);
  EXPECT_EQ(format_of("a.jsonl", Format::kText), Format::kText);
  EXPECT_EQ(format_of("part-00000", Format::kParquet), Format::kParquet);
  EXPECT_EQ(parse_file_format(file_format_name(Format::kLines)), Format::kLines);
  EXPECT_EQ(message_of<std::invalid_argument>([] { (void)parse_file_format("csv"); }),
            "format: expected auto, jsonl, text or parquet, found \"csv\"");
}

TEST_F(InputPaths, PackedFilesAreTaken) {
  for (const char* name : {"z.jsonl.gz", "z.txt.zst", "z.parquet"}) spill(scratch_ / name, "");
  EXPECT_EQ(expand({"z*"}), (Names{"z.jsonl.gz 0", "z.parquet 0", "z.txt.zst 0"}));
}

}  // namespace
}  // namespace phalanx
