// The folder of a run: one start at a time, whoever looks on; and how the last one ended.
#include "launch/run_folder.h"

#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <stdexcept>
#include <thread>

#include "launch/run_end.h"
#include "tests/trainer/checkpoint/support.h"

namespace phalanx {
namespace {

class RunFolder : public ::testing::Test {
 protected:
  std::filesystem::path run() const { return folder_.path() / "run"; }
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
  EXPECT_EQ(message_of([&] { (void)take_run_folder(run(), "a: 2\n", state_); }),
            "run.name: expected " + run().string() +
                " to be free, found another phalanx train at work in it: wait for it to end, or "
                "choose another run.name");
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
