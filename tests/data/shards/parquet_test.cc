// Against pyarrow: it writes the files and says what they hold (make_parquet.py).
#include "data/shards/parquet_records.h"

#include <arrow/memory_pool.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>

#include "tests/data/shards/scratch.h"

namespace phalanx {
namespace {

constexpr const char* kNull = "expected a string, found null";

// Made once for all tests of this file.
class Parquet : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    made_ = std::make_unique<Scratch>();
    const std::string command =
        fmt::format("{} {}/tests/data/shards/make_parquet.py {}", PHALANX_PYTHON,
                    PHALANX_SOURCE_DIR, made_->folder().string());
    ASSERT_EQ(std::system(command.c_str()), 0);
  }
  static void TearDownTestSuite() { made_.reset(); }

  static std::filesystem::path good(const std::string& name) {
    return *made_ / ("good/" + name + ".parquet");
  }
  static std::string bad(const std::string& name) {
    return (*made_ / ("bad/" + name + ".parquet")).string();
  }
  static nlohmann::json expected() {
    return nlohmann::json::parse(slurp(*made_ / "expected.json"));
  }

  static inline std::unique_ptr<Scratch> made_;
};

using Texts = std::vector<std::optional<std::string>>;

/// All records; chunks are parsed only when the reader is gone.
Texts read_all(const std::filesystem::path& file, int64_t* max_chunk_rows = nullptr) {
  std::vector<std::unique_ptr<RecordChunk>> chunks;
  {
    const auto reader = open_parquet_records(file, {});
    while (auto chunk = reader->next()) {
      EXPECT_GT(chunk->bytes(), 0);
      chunks.push_back(std::move(chunk));
    }
    EXPECT_EQ(reader->next(), nullptr);
  }
  Texts texts;
  for (const auto& chunk : chunks) {
    const auto before = static_cast<int64_t>(texts.size());
    chunk->parse([&](const Record& record) {
      EXPECT_EQ(record.line, static_cast<int64_t>(texts.size()) + 1);
      if (record.problem.empty()) {
        texts.emplace_back(record.text);
      } else {
        EXPECT_EQ(record.problem, kNull);
        texts.emplace_back(std::nullopt);
      }
    });
    const int64_t rows = static_cast<int64_t>(texts.size()) - before;
    if (max_chunk_rows) *max_chunk_rows = std::max(*max_chunk_rows, rows);
  }
  return texts;
}

TEST_F(Parquet, GivesWhatPyarrowReads) {
  size_t files = 0;
  const nlohmann::json all = expected();
  for (const auto& [name, rows] : all.items()) {
    Texts wanted;
    for (const auto& row : rows) {
      wanted.push_back(row.is_null() ? std::nullopt : std::optional(row.get<std::string>()));
    }
    EXPECT_EQ(read_all(good(name.substr(0, name.find('.')))), wanted) << name;
    ++files;
  }
  EXPECT_EQ(files, 16u);
}

TEST_F(Parquet, ReadsSomeRowsAtATime) {
  int64_t max_rows = 0;
  EXPECT_EQ(read_all(good("string"), &max_rows).size(), 3000u);
  EXPECT_LE(max_rows, 1024);
}

TEST_F(Parquet, HoldsLittleOfALargeRowGroup) {
  const auto reader = open_parquet_records(*made_ / "large.parquet", {});
  int64_t rows = 0, bytes = 0;
  while (const auto chunk = reader->next()) {
    chunk->parse([&](const Record& record) {
      const std::string number = fmt::format("{:08}", rows++);
      ASSERT_EQ(record.text.substr(0, 16), number + number);
      bytes += static_cast<int64_t>(record.text.size());
    });
  }
  EXPECT_EQ(rows, 60000);
  EXPECT_EQ(bytes, 120'000'000);
  // The reader takes all of Arrow's memory from this pool.
  EXPECT_LT(arrow::system_memory_pool()->max_memory(), int64_t{24} << 20);
  EXPECT_GT(arrow::system_memory_pool()->max_memory(), int64_t{1} << 20);
}

TEST_F(Parquet, TakesTheColumnItIsTold) {
  const auto reader = open_parquet_records(bad("no_text"), {.text_field = "body"});
  std::string text;
  reader->next()->parse([&](const Record& record) { text = record.text; });
  EXPECT_EQ(text, "a");
}

std::string refusal(const std::string& file) {
  return message_of<std::invalid_argument>([&] { read_all(file); });
}

TEST_F(Parquet, NamesTheColumnsWhereNoneHoldsText) {
  const std::string expected = ": column \"text\": expected a column of strings, found ";
  EXPECT_EQ(refusal(bad("no_text")), bad("no_text") + expected + "body (string), n (int64)");
  EXPECT_EQ(refusal(bad("numbers")), bad("numbers") + expected + "text (int64)");
  EXPECT_EQ(refusal(bad("binary")), bad("binary") + expected + "text (binary)");
  EXPECT_EQ(refusal(bad("lists")).rfind(bad("lists") + expected + "text (list<", 0), 0u);
  EXPECT_EQ(refusal(bad("twice")),
            bad("twice") + ": column \"text\": expected one, found two of that name");
}

TEST_F(Parquet, RefusesWhatIsNotAWholeFile) {
  for (const char* name : {"cut", "empty", "other"}) {
    const std::string message = refusal(bad(name));
    EXPECT_EQ(message.rfind(bad(name) + ": expected a whole Parquet file, found: ", 0), 0u)
        << message;
  }
}

TEST_F(Parquet, RefusesADamagedPage) {
  const std::string message = refusal(bad("damaged"));
  EXPECT_EQ(message.rfind(bad("damaged") + ": row group 0: column \"text\": expected ", 0), 0u)
      << message;
  EXPECT_NE(message.find("CRC"), std::string::npos) << message;
}

TEST_F(Parquet, AFileThatIsNotThereIsTheMachinesError) {
  const std::string message = message_of<std::system_error>([&] { read_all(bad("absent")); });
  EXPECT_NE(message.find(bad("absent")), std::string::npos) << message;
}

}  // namespace
}  // namespace phalanx
