// Event files, record by record; tests/launch/e2e/watch_test.py reads those of runs with
// TensorBoard.
#include <gtest/gtest.h>

#include <bit>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>

#include "tests/trainer/checkpoint/support.h"
#include "tests/trainer/metrics/step_sample.h"
#include "trainer/metrics/event_log.h"

namespace phalanx {
namespace {

using testing::kSources;
using testing::record_of;

std::string bytes_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

template <class Word>
Word word_at(const std::string& bytes, size_t at) {
  Word word = 0;
  std::memcpy(&word, bytes.data() + at, sizeof word);
  return word;
}

uint32_t masked(uint32_t crc) { return (crc >> 15 | crc << 17) + 0xa282ead8U; }

/// The data of each record, whose frame must be right.
std::vector<std::string> records_in(const std::string& bytes) {
  std::vector<std::string> records;
  for (size_t at = 0; at < bytes.size();) {
    const auto length = word_at<uint64_t>(bytes, at);
    EXPECT_EQ(word_at<uint32_t>(bytes, at + 8), masked(crc32c(bytes.substr(at, 8))));
    records.push_back(bytes.substr(at + 12, length));
    EXPECT_EQ(word_at<uint32_t>(bytes, at + 12 + length), masked(crc32c(records.back())));
    at += 16 + length;
  }
  return records;
}

std::string double_bytes(double value) {
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &value, 8);
  return bytes;
}

TEST(Crc32c, HasThePublishedValues) {  // RFC 3720, B.4
  EXPECT_EQ(crc32c("123456789"), 0xe3069283U);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aaU);
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62a8ab43U);
  EXPECT_EQ(crc32c(""), 0U);
}

TEST(EventFile, RecordsAreTheMessagesOfTheFormat) {
  const TemporaryFolder folder;
  EventFile file(folder.path(), 7);
  file.begin_session(300);
  file.write_scalars(300, 1.5, {{"a/b", 0.5}});
  file.write_text(1, 2.0, "t", "hello");
  EXPECT_EQ(file.path().filename().string().rfind("events.out.tfevents.", 0), 0u);
  EXPECT_EQ(file.path().extension(), ".00007");
  const std::vector<std::string> records = records_in(bytes_of(file.path()));
  ASSERT_EQ(records.size(), 4u);
  EXPECT_EQ(records[0].substr(9),
            "\x1a\x0d"
            "brain.Event:2");
  EXPECT_EQ(records[1].substr(9), "\x10\xac\x02\x3a\x02\x08\x01");  // step 300, status START
  EXPECT_EQ(records[2], "\x09" + double_bytes(1.5) + "\x10\xac\x02\x2a\x0c\x0a\x0a" +
                            "\x0a\x03"
                            "a/b" +
                            std::string("\x15\0\0\0\x3f", 5));
  EXPECT_EQ(records[3], "\x09" + double_bytes(2.0) + "\x10\x01\x2a\x20\x0a\x1e" + "\x0a\x01t" +
                            "\x42\x0f\x08\x07\x12\x04\x12\x02\x08\x01\x42\x05hello"
                            "\x4a\x08\x0a\x06\x0a\x04text");
}

TEST(EventLog, WritesEachStepAtOnceAndItsPhaseWhenThatChanges) {
  const TemporaryFolder folder;
  EventLog log(folder.path() / "tensorboard", kSources, {0, 0, "run:\n  name: a\n"});
  const auto size = [&] {
    const auto file = *std::filesystem::directory_iterator(folder.path() / "tensorboard");
    return records_in(bytes_of(file.path())).size();
  };
  EXPECT_EQ(size(), 3u);  // version, session, configuration
  StepRecord record = record_of(1);
  record.validation_before["web"] = {2.5, 1.25, 12};
  log.write(record);
  EXPECT_EQ(size(), 6u);  // validation before, phase, step
  log.write(record_of(2));
  EXPECT_EQ(size(), 7u);
  record = record_of(3);
  record.phase = "pretrain/last";
  log.write(record);
  EXPECT_EQ(size(), 9u);
}

}  // namespace
}  // namespace phalanx
