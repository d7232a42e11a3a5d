#include "trainer/run_requests.h"

#include <gtest/gtest.h>

namespace phalanx {
namespace {

using Clock = std::chrono::steady_clock;

RunConfig with_limit(double seconds) {
  RunConfig config;
  config.wall_clock_limit_seconds = seconds;
  return config;
}

TEST(RunRequests, TheFirstRanksClockSpeaksAndThatOfAnyThatWaits) {
  const RunConfig config = with_limit(3600);
  const Clock::time_point early = Clock::now(), late = early - std::chrono::seconds(3500);
  RunRequests first({}, config, 0, late), other({}, config, 1, late), fresh({}, config, 0, early);
  EXPECT_TRUE(first.ask(DataWait::kNone).stop);
  EXPECT_EQ(first.ask(DataWait::kNone).stop_reason, "run.wall_clock_limit of 60m00s");
  EXPECT_FALSE(other.ask(DataWait::kNone).stop);
  EXPECT_TRUE(other.ask(DataWait::kWaiting).stop);  // the first one may be waiting for it
  EXPECT_FALSE(fresh.ask(DataWait::kWaiting).stop);
}

TEST(RunRequests, SavesOfTimeAreAskedForByTheFirstRankUntilOneIsBegun) {
  RunConfig config;
  config.checkpoint.interval_seconds = 1e-9;
  RunRequests first({}, config, 0, Clock::now()), other({}, config, 1, Clock::now());
  EXPECT_TRUE(first.ask(DataWait::kNone).save);
  EXPECT_FALSE(other.ask(DataWait::kWaiting).save);
  config.checkpoint.interval_seconds = 3600;
  EXPECT_FALSE(RunRequests({}, config, 0, Clock::now()).ask(DataWait::kNone).save);
}

TEST(RunRequests, WhatComesFromOutsideIsPassedOn) {
  int calls = 0;
  RunRequests requests(
      [&] {
        ++calls;
        return Requests{.stop = calls == 2, .save = calls == 1, .stop_reason = "SIGUSR1"};
      },
      RunConfig(), 3, Clock::now());
  const Requests one = requests.ask(DataWait::kNone), two = requests.ask(DataWait::kNone);
  EXPECT_TRUE(one.save);
  EXPECT_FALSE(one.stop);
  EXPECT_TRUE(two.stop);
  EXPECT_EQ(two.stop_reason, "SIGUSR1");
}

}  // namespace
}  // namespace phalanx
