// The folder of a run: one start at a time, whoever looks on; and how the last one ended.
#include "launch/run_folder.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <regex>
#include <stdexcept>
#include <thread>

#include "data/file.h"
#include "launch/run_end.h"
#include "parallel/host_name.h"
#include "tests/trainer/checkpoint/support.h"

namespace phalanx {
namespace {

class RunFolder : public ::testing::Test {
 protected:
  RunFolder() { ::unsetenv("SLURM_JOB_ID"); }
  std::filesystem::path run() const { return folder_.path() / "run"; }
  /// What a second start is told.
  std::string refused() {
    return without_time(message_of([&] { (void)take_run_folder(run(), "a: 2\n", state_); }));
  }
  std::string refusal(const std::string& holder) const {
    return "run.name: expected " + run().string() +
           " to be free, found another phalanx train at work in it" + holder +
           ": wait for it to end, or choose another run.name";
  }
  static std::string own() {
    return "process " + std::to_string(getpid()) + " on " + host_name() + " since TIME";
  }
  static std::string without_time(const std::string& text) {
    static const std::regex time(R"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC)");
    return std::regex_replace(text, time, "TIME");
  }
  const TemporaryFolder folder_;
  TrainState state_;
};

TEST_F(RunFolder, IsTakenWhileSomeoneLooks) {
  std::filesystem::create_directories(run());
  std::optional<FileLock> look = FileLock::share(run() / "lock");
  std::thread looks([&look] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    look.reset();
  });
  const FileLock lock = take_run_folder(run(), "a: 1\n", state_);
  looks.join();
  EXPECT_TRUE(lock.keeps_others_out());
  EXPECT_TRUE(std::filesystem::exists(run() / "start.json"));
}

TEST_F(RunFolder, IsRefusedWhileAnotherStartWorksThere) {
  const FileLock lock = take_run_folder(run(), "a: 1\n", state_);
  EXPECT_EQ(refused(), refusal(" (by its lock file, held by " + own() + ")"));
}

TEST_F(RunFolder, NamesTheJobThatHoldsIt) {
  (void)take_run_folder(run(), "a: 1\n", state_);
  ::setenv("SLURM_JOB_ID", "4711_3", 1);
  const FileLock lock = take_run_folder(run(), "a: 1\n", state_);
  ::unsetenv("SLURM_JOB_ID");
  EXPECT_EQ(refused(), refusal(" (by its lock file, held by " + own() + ", Slurm job 4711_3)"));
  EXPECT_EQ(without_time(read_text(run() / "lock", 1000)), own() + ", Slurm job 4711_3\n");
}

TEST_F(RunFolder, IsRefusedByALockThatSaysNothing) {
  std::filesystem::create_directories(run());
  const std::optional<FileLock> lock = FileLock::try_exclude(run() / "lock");
  for (const std::string& text : {std::string(), std::string("\n"), std::string("{\"a\": 1}"),
                                  "process " + std::string(2000, '7')}) {
    std::ofstream(run() / "lock") << text;
    EXPECT_EQ(refused(), refusal("")) << text;
  }
  std::ofstream(run() / "lock") << "process 1\x1b[2J\nsecond line";
  EXPECT_EQ(refused(), refusal(" (by its lock file, held by process 1\\x1b[2J)"));
}

TEST_F(RunFolder, TheEndIsThatOfTheNewestStart) {
  std::filesystem::create_directories(run());
  RunEndNote note;
  note.write(ExitCode::kDone, "");  // before the folder was taken: nowhere
  EXPECT_FALSE(read_run_end(run()).has_value());
  note.open(run(), 0);
  note.write(ExitCode::kStopped, "SIGUSR1");
  EXPECT_EQ(read_run_end(run()).value().exit_code, 75);
  EXPECT_EQ(read_run_end(run()).value().reason, "SIGUSR1");
  EXPECT_GT(read_run_end(run()).value().unix_seconds, 1.7e9);
  RunEndNote(note).open(run(), 1);
  EXPECT_TRUE(read_run_end(run()).has_value());  // the first rank's to take away
  RunEndNote(note).open(run(), 0);
  EXPECT_FALSE(read_run_end(run()).has_value());
}

TEST_F(RunFolder, AFailureIsNotedByWhoKnowsIt) {
  std::filesystem::create_directories(run());
  RunEndNote first, third;
  first.open(run(), 0);
  third.open(run(), 3);
  third.write_failure(NonFiniteError("all know"));  // the first rank's to write
  EXPECT_FALSE(read_run_end(run()).has_value());
  first.write_failure(NonFiniteError("all know"));
  EXPECT_EQ(read_run_end(run()).value().reason, "all know");
  EXPECT_EQ(read_run_end(run()).value().exit_code, 77);
  third.write_failure(std::runtime_error("mine alone"));
  EXPECT_EQ(read_run_end(run()).value().reason, "rank 3: mine alone");
  EXPECT_EQ(read_run_end(run()).value().exit_code, 1);
}

TEST_F(RunFolder, AnEndThatDoesNotReadIsNone) {
  std::filesystem::create_directories(run());
  for (const char* text : {"", "{\"exit_co", "[]", "{\"exit_code\":\"0\"}", "{}"}) {
    std::ofstream(run() / "end.json") << text;
    EXPECT_FALSE(read_run_end(run()).has_value()) << text;
  }
}

}  // namespace
}  // namespace phalanx
