#include <gtest/gtest.h>

#include "data/shards/record_reader.h"
#include "tests/data/shards/packed_bytes.h"
#include "tests/data/shards/scratch.h"

namespace phalanx {
namespace {

struct Found {
  int64_t line;
  std::string text, problem;
  bool operator==(const Found&) const = default;
};

std::vector<Found> records_of(const std::filesystem::path& file, RecordFormat format = {}) {
  std::vector<Found> found;
  const auto reader = open_records(file, format);
  while (const auto chunk = reader->next()) {
    chunk->parse([&](const Record& record) {
      found.push_back({record.line, std::string(record.text), std::string(record.problem)});
    });
  }
  return found;
}

RecordFormat in_chunks(int64_t bytes) {
  RecordFormat format;
  format.chunk_bytes = bytes;
  return format;
}

std::string message(const std::filesystem::path& file) {
  return message_of<std::invalid_argument>([&] { records_of(file); });
}

class Records : public ::testing::Test {
 protected:
  std::filesystem::path write(const std::string& name, const std::string& bytes) const {
    spill(scratch_ / name, bytes);
    return scratch_ / name;
  }
  const Scratch scratch_;
};

TEST_F(Records, JsonIsReadLineByLineAndOtherFilesWhole) {
  EXPECT_EQ(records_of(write("a.jsonl",
                             "{\"text\": \"one\\n\"}\n{\"id\": 5, \"text\": \"\"}\r\n"
                             "{\"text\":\"3\"}")),
            (std::vector<Found>{{1, "one\n", ""}, {2, "", ""}, {3, "3", ""}}));
  const std::string text("two\nlines\0and a zero", 20);
  EXPECT_EQ(records_of(write("b.txt", text)), (std::vector<Found>{{0, text, ""}}));
  EXPECT_EQ(records_of(write("b", "")), (std::vector<Found>{{0, "", ""}}));
  EXPECT_TRUE(records_of(write("c.ndjson", "")).empty());
}

/// Found by fuzzing: of a mark that came in pieces, the first line kept the rest.
TEST_F(Records, AByteOrderMarkMayComeInPieces) {
  const auto file = write("a.jsonl", "\xef\xbb\xbf{\"text\": \"1\"}\n\xef\xbb\xbf{}\n");
  const std::vector<Found> whole = records_of(file);
  ASSERT_EQ(whole.size(), 2u);
  EXPECT_EQ(whole[0], (Found{1, "1", ""}));
  for (const int64_t bytes : {1, 2, 3, 4}) EXPECT_EQ(records_of(file, in_chunks(bytes)), whole);
}

TEST_F(Records, TheFieldIsAChoice) {
  const auto file = write("a.jsonl", "{\"text\": \"no\", \"content\": \"yes\"}\n");
  EXPECT_EQ(records_of(file, {.text_field = "content"}), (std::vector<Found>{{1, "yes", ""}}));
}

TEST_F(Records, LinesAcrossReadChunksAreWhole) {
  std::string file;
  std::vector<Found> expected;
  for (const size_t size : {10u, 1000000u, 48563u, 1u, 3000000u, 0u, 1048576u, 5u}) {
    const std::string text(size, static_cast<char>('a' + expected.size()));
    file += "{\"text\":\"" + text + "\"}\n";
    expected.push_back({static_cast<int64_t>(expected.size()) + 1, text, ""});
  }
  EXPECT_EQ(records_of(write("a.jsonl", file)), expected);
  for (const int64_t chunk : {1, 7, 64, 100000}) {
    EXPECT_EQ(records_of(scratch_ / "a.jsonl", in_chunks(chunk == 1 ? 4096 : chunk * 1000)),
              expected);
  }
}

TEST_F(Records, ABadLineIsARecordWithItsNumberAndWhatIsWrong) {
  const auto problem = [&](const std::string& line) {
    const auto found =
        records_of(write("a.jsonl", "{\"text\": \"fine\"}\n" + line + "\n{\"text\": \"fine\"}\n"));
    EXPECT_EQ(found.size(), 3u);
    EXPECT_EQ(found[0], (Found{1, "fine", ""}));
    EXPECT_EQ(found[2], (Found{3, "fine", ""}));
    EXPECT_EQ(found[1].line, 2);
    EXPECT_EQ(found[1].text, "");
    return found[1].problem;
  };
  const std::string start = "expected a JSON object with a string \"text\", found ";
  EXPECT_EQ(problem(""), start + "an empty line");
  EXPECT_EQ(problem(" \t\r"), start + "an empty line");
  EXPECT_EQ(problem("[\"text\"]"), start + "an array");
  EXPECT_EQ(problem("{\"txt\": \"x\"}"), start + "no such field");
  EXPECT_EQ(problem("{\"text\": 5}"), start + "a number");
  EXPECT_EQ(problem("{\"text\": null}"), start + "null");
  EXPECT_EQ(problem("{\"text\": \"a\", \"text\": \"b\"}"), start + "2 of them");
  for (const char* bad : {"{\"text\": \"x\"", "{\"text\": \"\\ud800\"}", "{\"text\": \"\xff\"}",
                          "{\"text\": \"x\"} {}", "{\"text\": \"x\", \"id\": tru}",
                          "{\"text\": \"x\", \"i\": \"\xc0\"}"}) {
    EXPECT_EQ(problem(bad).rfind(start + "invalid JSON: ", 0), 0u) << bad << problem(bad);
  }
  EXPECT_EQ(problem("{\"text\": \"\xc3\xa9\xff\"}"),
            start + "invalid JSON: byte 0xff at offset 12 is not UTF-8");
}

TEST_F(Records, ALineThatIsTooLongIsABadLineWhateverTheChunks) {
  const std::string problem = "expected a line of at most 900 bytes, found a longer one";
  const auto line = [](size_t size) {
    const std::string empty = "{\"text\": \"\"}";
    return empty.substr(0, 10) + std::string(size - empty.size(), 'x') + empty.substr(10) + "\n";
  };
  const std::vector<Found> expected = {{1, std::string(888, 'x'), ""},
                                       {2, "", problem},
                                       {3, "y", ""},
                                       {4, "", problem},
                                       {5, "", problem},
                                       {6, "z", ""},
                                       {7, "", problem}};
  const std::string y = "{\"text\": \"y\"}\n", z = "{\"text\": \"z\"}\n";
  const auto file = write("a.jsonl", line(900) + line(901) + y + line(5000) + line(100000) + z +
                                         std::string(7000, 'x'));
  for (const int64_t chunk : {3, 64, 100, 899, 900, 901, 5000, 1 << 20}) {
    RecordFormat format = in_chunks(chunk);
    format.max_line_bytes = 900;
    EXPECT_EQ(records_of(file, format), expected) << chunk;
  }
  const auto real = write("b.jsonl", y + std::string(70 << 20, 'x') + "\n" + z);
  EXPECT_EQ(records_of(real),
            (std::vector<Found>{{1, "y", ""},
                                {2, "",
                                 "expected a line of at most 67108864 bytes, found a longer "
                                 "one"},
                                {3, "z", ""}}));
}

TEST_F(Records, BlankLinesAtTheEndAndAByteOrderMarkAreNoRecords) {
  const std::string y = "{\"text\": \"y\"}\n";
  const std::string empty = "expected a JSON object with a string \"text\", found an empty line";
  const std::vector<Found> one = {{1, "y", ""}};
  const std::vector<Found> gap = {{1, "y", ""}, {2, "", empty}, {3, "", empty}, {4, "y", ""}};
  const std::vector<Found> front = {{1, "", empty}, {2, "y", ""}};
  for (const int64_t chunk : {3, 4, 13, 14, 15, 16, 17, 1 << 20}) {
    const auto found = [&](const std::string& bytes) {
      return records_of(write("a.jsonl", bytes), in_chunks(chunk));
    };
    for (const char* end : {"", "\n", "\n\n\r\n \n", "  ", "\n\t"}) {
      EXPECT_EQ(found(y + end), one) << chunk << end;
      EXPECT_EQ(found("\xef\xbb\xbf" + y + end), one) << chunk << end;
      EXPECT_EQ(found(y + "\n \n" + y + end), gap) << chunk << end;
      EXPECT_EQ(found("\n" + y + end), front) << chunk << end;
    }
    EXPECT_TRUE(found("\n\n \n").empty());
    EXPECT_TRUE(found("\xef\xbb\xbf").empty());
    EXPECT_EQ(found(y + "\xef\xbb\xbf" + y).at(1).text, "") << "only at the beginning";
  }
}

TEST_F(Records, AFileThatIsTooLongOrPackedInsideHoldsNoDocument) {
  RecordFormat format;
  format.max_file_bytes = 200000;
  const std::string most(200000, 'x');
  EXPECT_EQ(records_of(write("a.txt", most), format), (std::vector<Found>{{0, most, ""}}));
  EXPECT_EQ(records_of(write("b.txt.gz", gzip(most + "x")), format),
            (std::vector<Found>{{0, "",
                                 "expected a document of at most 200000 bytes, found a "
                                 "longer one: split it"}}));
  const auto problem = [&](const std::string& bytes) {
    const auto found = records_of(write("c.txt", bytes));
    EXPECT_EQ(found.size(), 1u);
    EXPECT_EQ(found[0].text, "");
    return found[0].problem;
  };
  EXPECT_EQ(problem(gzip("text")),
            "expected text, found gzip data, which a name that ends in .gz would say");
  EXPECT_EQ(problem(zstd("text")),
            "expected text, found zstd data, which a name that ends in .zst would say");
  EXPECT_EQ(problem("PAR1..."),
            "expected text, found a Parquet file, which a name that ends in .parquet would say");
  EXPECT_EQ(problem("PK\x03\x04"), "expected text, found a zip archive: unpack it first");
  EXPECT_EQ(problem(std::string("\xfd") + "7zXZ" + std::string(1, '\0')),
            "expected text, found xz data: unpack it first");
  EXPECT_EQ(problem(""), "");
}

TEST_F(Records, TheWindowOfAZstdFrameMayBeLarge) {
  EXPECT_EQ(records_of(write("a.txt.zst", zstd("text", 29))),
            (std::vector<Found>{{0, "text", ""}}));
}

TEST_F(Records, PackedFilesHoldTheSameRecords) {
  std::string first, second;
  for (int i = 0; i < 20000; ++i) {
    (i < 7000 ? first : second) += "{\"text\": \"line " + std::to_string(i * 7919) + "\"}\n";
  }
  const auto plain = records_of(write("a.jsonl", first + second));
  ASSERT_EQ(plain.size(), 20000u);
  EXPECT_EQ(records_of(write("b.jsonl.gz", gzip(first + second))), plain);
  EXPECT_EQ(records_of(write("c.jsonl.gz", gzip(first) + gzip("") + gzip(second))), plain);
  EXPECT_EQ(records_of(write("d.jsonl.zst", zstd(first + second))), plain);
  EXPECT_EQ(records_of(write("e.jsonl.zst", zstd(first) + zstd("") + zstd(second))), plain);
  EXPECT_EQ(records_of(write("f.txt.gz", gzip("text"))), (std::vector<Found>{{0, "text", ""}}));
  EXPECT_EQ(records_of(write("g.v2.zst", zstd("text"))), (std::vector<Found>{{0, "text", ""}}));
  EXPECT_EQ(records_of(write("h.JSONL.Gz", gzip(first + second))), plain);
  EXPECT_EQ(records_of(write("i.json.zstd", zstd(first + second))), plain);
  EXPECT_EQ(records_of(write("j.NDJSON", first + second)), plain);
  RecordFormat lines;
  lines.format = FileFormat::kLines;
  EXPECT_EQ(records_of(write("RC_2020.zst", zstd(first + second)), lines), plain);
  EXPECT_EQ(records_of(write("k.md", first + second), lines), plain);
}

TEST_F(Records, APackedFileThatIsCutOffOrDamagedIsNamed) {
  std::string text;
  for (int i = 0; i < 60000; ++i) text += std::to_string(i * 7919) + "\n";
  for (const std::string kind : {".gz", ".zst"}) {
    const std::string packed = kind == ".gz" ? gzip(text) : zstd(text);
    const std::string start = ": expected whole " + kind + " data, found ";
    for (const size_t size : {packed.size() - 1, packed.size() / 2, size_t{5}, size_t{0}}) {
      const auto file = write("cut.txt" + kind, packed.substr(0, size));
      EXPECT_EQ(message(file), file.string() + start + "the end of the file in the middle") << size;
    }
    const auto more = write("more.txt" + kind, packed + "garbage that is no header");
    EXPECT_EQ(message(more).rfind(more.string() + start, 0), 0u) << message(more);
    const auto not_packed = write("plain.txt" + kind, text);
    EXPECT_EQ(message(not_packed).rfind(not_packed.string() + start, 0), 0u);
  }
  std::string damaged = gzip(text);
  damaged[damaged.size() - 6] ^= 1;  // its checksum
  const auto file = write("damaged.txt.gz", damaged);
  EXPECT_EQ(message(file), file.string() + ": expected whole .gz data, found incorrect data check");
}

}  // namespace
}  // namespace phalanx
