// Which steps of the attempts of a run count, and how they are read from metrics.jsonl.
#include "launch/step_account.h"

#include <gtest/gtest.h>

#include <fstream>

#include "launch/attempt_watch.h"
#include "tests/trainer/checkpoint/support.h"

namespace phalanx {
namespace {

/// Steps of a second each, the last one followed by a roll-back where there is one.
AttemptSteps attempt(int64_t first, int64_t last,
                     std::optional<int64_t> rolled_back_to = std::nullopt) {
  AttemptSteps steps;
  for (int64_t step = first; step <= last; ++step) {
    steps.add(step, 1.0, step == last ? rolled_back_to : std::nullopt);
  }
  return steps;
}

TEST(StepAccount, StepsThatALaterAttemptDoesAgainCountOnce) {
  StepAccount account;
  account.add(attempt(1, 10));
  account.add(AttemptSteps());  // died before its first step
  account.add(attempt(7, 12));
  EXPECT_EQ(account.done(), 12);
  EXPECT_EQ(account.repeated(), 4);
  EXPECT_EQ(account.passed_over(), 0);
  EXPECT_EQ(account.useful_seconds(), 12.0);
}

TEST(StepAccount, StepsThatARollBackPassedOverDoNotCount) {
  AttemptSteps steps = attempt(1, 9, 6);
  steps.add(10, 1.0, std::nullopt);
  EXPECT_EQ(steps.first(), 1);
  EXPECT_EQ(steps.last(), 10);
  EXPECT_EQ(steps.seconds(), 10.0);
  EXPECT_EQ(steps.passed_over(), 3);
  StepAccount account;
  account.add(steps);
  EXPECT_EQ(account.done(), 7);
  EXPECT_EQ(account.repeated(), 0);
  EXPECT_EQ(account.passed_over(), 3);
  EXPECT_EQ(account.useful_seconds(), 7.0);
}

/// The process died before the checkpoint behind the spike was there: all is done once more.
TEST(StepAccount, ARollBackThatWasNotSavedHappensAgain) {
  StepAccount account;
  account.add(attempt(1, 9, 6));
  account.add(attempt(7, 9, 6));
  account.add(attempt(10, 11));
  EXPECT_EQ(account.done(), 8);
  EXPECT_EQ(account.repeated(), 0);
  EXPECT_EQ(account.passed_over(), 6);
  EXPECT_EQ(account.useful_seconds(), 8.0);
}

TEST(AttemptWatch, ReadsWhatIsNewAndPassesOverWhatIsNoStep) {
  const TemporaryFolder folder;
  const auto line = [&](const std::string& text) {
    std::ofstream(folder.path() / "metrics.jsonl", std::ios::app) << text;
  };
  line(R"({"step":1,"step_seconds":5.0})"
       "\n");
  AttemptWatch watch(folder.path());
  line(R"({"step":2,"step_seconds":null,"data_wait_seconds":["s"],"rolled_back_to":{}})"
       "\n"
       R"({"step":2,"step_seconds":1.0,"data_wait_seconds":0.5})"
       "\n{\"step\":\"a word\"}\nno line\n[]\n"
       "{\"step\":-1}\n{\"step\":18446744073709551615}\n"
       R"({"step":3,"step_seconds":2.0,"rolled_back_to":2})"
       "\n"
       R"({"step":4,"step_sec)");
  watch.look();
  EXPECT_EQ(watch.steps().first(), 2);
  EXPECT_EQ(watch.steps().last(), 3);
  EXPECT_EQ(watch.steps().kept(), (StepSeconds{{2, 1.5}}));
  line("onds\":1.0}\n");
  watch.look();
  EXPECT_EQ(watch.steps().kept(), (StepSeconds{{2, 1.5}, {4, 1.0}}));
}

}  // namespace
}  // namespace phalanx
