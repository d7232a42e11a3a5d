// What a supervisor does after each way to end.
#include "launch/restart_rules.h"

#include <gtest/gtest.h>

namespace phalanx {
namespace {

bool restarts(int exit_code, const RestartRules& rules = {}) {
  return judge({exit_code}, 1, 0, rules).restart;
}

TEST(RestartRules, ByExitCode) {
  for (const int code : {1, 3, 69, 76, 134, 137, 139, 143}) EXPECT_TRUE(restarts(code)) << code;
  for (const int code : {0, 2, 16, 75, 77, 78, 126, 127}) EXPECT_FALSE(restarts(code)) << code;
  EXPECT_TRUE(restarts(75, {.restart_stopped = true}));
  EXPECT_EQ(judge({0}, 0, 0, {}).reason, "");
}

TEST(RestartRules, AfterAStopThatWasAskedForThereIsNone) {
  for (const int code : {75, 76, 137}) {
    const Judgement next = judge({code, /*stop_asked=*/true}, 1, 0, {.restart_stopped = true});
    EXPECT_FALSE(next.restart);
    EXPECT_EQ(next.reason, "asked to stop");
  }
}

/// As mpirun ends at Ctrl-C, with a code that means an error otherwise.
TEST(RestartRules, AnEndBySignalThatWasPassedOnIsNoErrorOfItsOwn) {
  for (const int code : {1, 130, 143}) {
    EXPECT_EQ(meaning_of({code, /*stop_asked=*/true}),
              "ended by the signal that was passed on to it, not saved");
    EXPECT_EQ(meaning_of({code}), meaning_of_exit(code));
  }
  EXPECT_EQ(meaning_of({75, /*stop_asked=*/true}), "stopped on request, saved");
}

TEST(RestartRules, FailuresAndRestartsAreCounted) {
  EXPECT_TRUE(judge({76}, 2, 100, {}).restart);
  EXPECT_TRUE(judge({69}, kMaxOutages - 1, 100, {}).restart);
  EXPECT_FALSE(judge({69}, kMaxOutages, 100, {}).restart);
  EXPECT_EQ(meaning_of_exit(69), "a service gave no answer, as a store");
  EXPECT_EQ(judge({76}, 3, 2, {}).reason, "3 failures in a row without a new checkpoint");
  RestartRules rules;
  rules.max_restarts = 4;
  EXPECT_TRUE(judge({137}, 1, 3, rules).restart);
  EXPECT_EQ(judge({137}, 1, 4, rules).reason, "it was restarted 4 times");
}

TEST(RestartRules, WaitsGrow) {
  EXPECT_EQ(restart_delay_seconds(0), 0);
  EXPECT_EQ(restart_delay_seconds(1), 1);
  EXPECT_EQ(restart_delay_seconds(2), 3);
  EXPECT_EQ(restart_delay_seconds(1000), 60);
}

TEST(RestartRules, EndsHaveNames) {
  EXPECT_EQ(meaning_of_exit(76), "a rank hung");
  EXPECT_EQ(meaning_of_exit(137), "a process was killed by signal 9");
  EXPECT_FALSE(is_failure({75}));
  EXPECT_TRUE(is_failure({2}));
}

}  // namespace
}  // namespace phalanx
