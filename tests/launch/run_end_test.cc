// The note of how a run ended: who writes it, what it says, and what it must not wait for.
#include "launch/run_end.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <stdexcept>

#include "parallel/agreement.h"

namespace {
int num_syncs = 0;  // of the calls below, which stand in the place of the C library's
}  // namespace

extern "C" int fsync(int) { return ++num_syncs, 0; }
extern "C" int fdatasync(int) { return ++num_syncs, 0; }

namespace phalanx {
namespace {

namespace fs = std::filesystem;

class RunEndTest : public testing::Test {
 protected:
  void SetUp() override {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  /// A start of this run, on that rank.
  RunEndNote note_of(int rank) const {
    RunEndNote note;
    note.open(folder_, rank);
    return note;
  }
  void write_file(const std::string& text) const { std::ofstream(folder_ / "end.json") << text; }

  fs::path folder_ = fs::path(testing::TempDir()) / ("run-end-" + std::to_string(getpid()));
};

TEST_F(RunEndTest, reads_what_was_written) {
  note_of(0).write(ExitCode::kStopped, "SIGUSR1");
  const auto end = read_run_end(folder_);
  ASSERT_TRUE(end);
  EXPECT_EQ(end->exit_code, 75);
  EXPECT_EQ(end->reason, "SIGUSR1");
  EXPECT_GT(end->unix_seconds, 1e9);
}

TEST_F(RunEndTest, a_start_takes_an_earlier_end_away) {
  note_of(0).write(ExitCode::kDone, "");
  (void)note_of(1);
  EXPECT_TRUE(read_run_end(folder_)) << "the first rank does it";
  (void)note_of(0);
  EXPECT_FALSE(read_run_end(folder_));
}

TEST_F(RunEndTest, nothing_is_written_before_the_folder_is_taken) {
  RunEndNote().write(ExitCode::kDone, "");
  RunEndNote().write_failure(std::runtime_error("lost"));
  EXPECT_FALSE(fs::exists("end.json"));
  EXPECT_FALSE(read_run_end(folder_));
}

TEST_F(RunEndTest, what_all_ranks_know_is_noted_by_the_first) {
  const AgreedError agreed(ExitCode::kBadInput, "data.path: no file (on rank 3)");
  note_of(3).write_failure(agreed);
  EXPECT_FALSE(read_run_end(folder_));
  note_of(0).write_failure(agreed);
  ASSERT_TRUE(read_run_end(folder_));
  EXPECT_EQ(read_run_end(folder_)->reason, "data.path: no file (on rank 3)");
  EXPECT_EQ(read_run_end(folder_)->exit_code, 2);
}

TEST_F(RunEndTest, what_one_rank_met_it_notes_itself) {
  note_of(3).write_failure(std::logic_error("impossible"));
  ASSERT_TRUE(read_run_end(folder_));
  EXPECT_EQ(read_run_end(folder_)->reason, "rank 3: impossible");
  EXPECT_EQ(read_run_end(folder_)->exit_code, 1);
}

TEST_F(RunEndTest, bytes_that_are_no_text_do_not_matter) {
  note_of(0).write(ExitCode::kBadInput, "folder \xff\xfe: not there");
  ASSERT_TRUE(read_run_end(folder_));
  EXPECT_NE(read_run_end(folder_)->reason.find(": not there"), std::string::npos);
}

// The disk may be what does not answer.
TEST_F(RunEndTest, does_not_wait_for_the_disk) {
  num_syncs = 0;
  note_of(0).write(ExitCode::kBadInput, "a disk that hangs");
  EXPECT_TRUE(read_run_end(folder_));
  EXPECT_EQ(num_syncs, 0);
}

TEST_F(RunEndTest, leaves_no_other_file) {
  note_of(2).write_failure(std::runtime_error("x"));
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()), 1);
}

TEST_F(RunEndTest, what_cannot_be_read_is_none) {
  for (const char* text : {"", "{", "[75]", R"({"exit_code": "75"})", R"({"reason": "x"})"}) {
    write_file(text);
    EXPECT_FALSE(read_run_end(folder_)) << text;
  }
  write_file(R"({"exit_code": 77, "reason": 5})");
  ASSERT_TRUE(read_run_end(folder_));
  EXPECT_EQ(read_run_end(folder_)->reason, "");
}

TEST_F(RunEndTest, a_folder_that_is_gone_is_no_second_error) {
  const RunEndNote note = note_of(0);
  fs::remove_all(folder_);
  testing::internal::CaptureStderr();
  note.write(ExitCode::kDone, "");
  EXPECT_EQ(testing::internal::GetCapturedStderr().find("warning: the run's end is not noted: "),
            0u);
}

}  // namespace
}  // namespace phalanx
