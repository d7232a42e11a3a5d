// The page that a rank's collectives are noted in, as another process or a watchdog reads it.
#include "parallel/flight_recorder.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "parallel/flight_peers.h"
#include "parallel/recorded_communicator.h"
#include "parallel/watchdog.h"
#include "tests/support/ranks.h"

namespace phalanx {
namespace {

TEST(FlightRecorder, AnotherReaderSeesTheLastCollectives) {
  FlightRecorder recorder;
  const FlightReader reader(recorder.file());
  const int dp = recorder.add_group("dp", {1, 3, 5});
  const int tp = recorder.add_group("a-name-of-more-than-15", {4, 5});
  for (int i = 0; i < 100; ++i) {
    recorder.begin(dp, FlightOperation::kAllReduce, 4 * i);
    recorder.end();
  }
  recorder.begin(tp, FlightOperation::kBarrier, 0);
  const FlightSnapshot found = reader.snapshot();
  ASSERT_EQ(found.recent.size(), 64u);
  EXPECT_EQ(found.recent.front().number, 38);
  EXPECT_EQ(found.recent.front().bytes, 4 * 37);
  EXPECT_FALSE(found.recent.front().is_open());
  EXPECT_EQ(found.recent.back().operation, FlightOperation::kBarrier);
  EXPECT_EQ(found.recent.back().group, tp);
  EXPECT_EQ(found.recent.back().number, 1);
  EXPECT_TRUE(found.recent.back().is_open());
  EXPECT_EQ(found.last_numbers, (std::vector<int64_t>{100, 1}));
  EXPECT_EQ(found.groups[0].name, "dp");
  EXPECT_EQ(found.groups[0].members, (std::vector<int>{1, 3, 5}));
  EXPECT_EQ(found.groups[1].name, "a-name-of-more-");
  EXPECT_EQ(found.progress_ns, found.recent.back().begun_ns);
}

/// Ranks that wait for a save ask each other all the time whether it is done.
TEST(FlightRecorder, CollectivesOfASaveAreNoProgressOfIt) {
  FlightRecorder recorder;
  const int world = recorder.add_group("world", {0});
  const auto progress_after_a_collective = [&] {
    const int64_t before = recorder.snapshot().progress_ns;
    while (flight_now_ns() == before) continue;
    recorder.begin(world, FlightOperation::kAllReduce, 8);
    recorder.end();
    return recorder.snapshot().progress_ns - before;
  };
  recorder.enter(RunPhase::kTrain);
  EXPECT_GT(progress_after_a_collective(), 0);
  recorder.enter(RunPhase::kSave);
  EXPECT_EQ(progress_after_a_collective(), 0);
  EXPECT_EQ(recorder.snapshot().recent.size(), 2u) << "noted all the same";
}

TEST(FlightRecorder, StepsAndPhases) {
  FlightRecorder recorder;
  EXPECT_EQ(recorder.snapshot().phase, RunPhase::kStart);
  recorder.enter(RunPhase::kTrain);
  recorder.begin_step(7);
  recorder.end_step();
  EXPECT_EQ(recorder.snapshot().slowest_step_ns, 0) << "the first step says nothing";
  recorder.begin_step(8);
  {
    const FlightPhase saving(&recorder, RunPhase::kSave);
    EXPECT_EQ(recorder.snapshot().phase, RunPhase::kSave);
  }
  recorder.end_step();
  const FlightSnapshot found = recorder.snapshot();
  EXPECT_EQ(found.phase, RunPhase::kTrain);
  EXPECT_EQ(found.step, 8);
  EXPECT_EQ(found.steps_done, 2);
  EXPECT_GT(found.slowest_step_ns, 0);
  const FlightPhase nowhere(nullptr, RunPhase::kSave);
}

TEST(FlightRecorder, WhatAKilledProcessLeftIsRemovedByTheNext) {
  int names[2];
  ASSERT_EQ(pipe(names), 0);
  const pid_t child = fork();
  if (child == 0) {
    const FlightRecorder recorder;
    const std::string file = recorder.file() + "\n";
    if (write(names[1], file.data(), file.size()) < 0) _exit(1);
    pause();
  }
  std::string file;
  for (char letter = 0; read(names[0], &letter, 1) == 1 && letter != '\n';) file += letter;
  const std::filesystem::path path = std::filesystem::path(kFlightFolder) / file;
  { const FlightRecorder other; }
  EXPECT_TRUE(std::filesystem::exists(path)) << "its owner lives";
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_TRUE(std::filesystem::exists(path));
  const FlightRecorder next;
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(RecordedCommunicator, PassesOnAndNotesEverything) {
  run_ranks(4, [](Communicator& world) {
    FlightRecorder recorder;
    const auto mine = world.split(0, world.rank(), "inner");
    const auto all = record(world.split(0, world.rank(), "all"), recorder, {0, 1, 2, 3}, at::kCPU);
    const auto half = all->split(world.rank() / 2, world.rank(), "half");
    const at::Tensor sum_1 = at::full({1}, 1 << world.rank(), at::kInt);
    half->all_reduce(sum_1, ReduceOp::kSum)->wait();
    EXPECT_EQ(sum_1.item<int>(), world.rank() < 2 ? 0b0011 : 0b1100);
    half->barrier();
    const FlightSnapshot found = recorder.snapshot();
    ASSERT_EQ(found.groups.size(), 2u);
    EXPECT_EQ(found.groups[1].name, "half");
    EXPECT_EQ(found.groups[1].members,
              world.rank() < 2 ? (std::vector<int>{0, 1}) : (std::vector<int>{2, 3}));
    EXPECT_EQ(found.last_numbers, (std::vector<int64_t>{1, 2}));
    EXPECT_EQ(found.recent[1].operation, FlightOperation::kAllReduce);
    EXPECT_EQ(found.recent[1].bytes, 4);
    EXPECT_GT(recorder.collective_ns(), 0);
    world.barrier();
  });
}

TEST(FlightPeers, RanksOfAHostSeeEachOther) {
  run_ranks(3, [](Communicator& world) {
    FlightRecorder recorder;
    recorder.begin_step(10 + world.rank());
    const FlightPeers peers = meet_flight_peers(world, recorder);
    ASSERT_EQ(peers.ranks.size(), 3u);
    for (int rank = 0; rank < 3; ++rank) {
      const RankState state = peers.ranks[size_t(rank)].state();
      ASSERT_TRUE(state.last.has_value());
      EXPECT_EQ(state.last->step, 10 + rank);
      EXPECT_EQ(state.pid, getpid());
      EXPECT_EQ(state.process, "");
    }
    world.barrier();
  });
}

FlightSnapshot state_in(RunPhase phase, int64_t steps_done, double slowest_seconds) {
  FlightSnapshot state;
  state.phase = phase;
  state.steps_done = steps_done;
  state.slowest_step_ns = static_cast<int64_t>(slowest_seconds * 1e9);
  return state;
}

TEST(Watchdog, EachPhaseHasItsLimit) {
  WatchdogLimits limits;
  limits.start = 100;
  limits.evaluate = 200;
  limits.save = 300;
  EXPECT_EQ(limit_seconds(state_in(RunPhase::kStart, 0, 0), limits), 100);
  EXPECT_EQ(limit_seconds(state_in(RunPhase::kEvaluate, 5, 1), limits), 200);
  EXPECT_EQ(limit_seconds(state_in(RunPhase::kSave, 5, 1), limits), 300);
  EXPECT_EQ(limit_seconds(state_in(RunPhase::kEnd, 5, 1), limits), 100);
  EXPECT_EQ(limit_seconds(state_in(RunPhase::kTrain, 0, 0), limits), 100) << "the first step";
  EXPECT_EQ(limit_seconds(state_in(RunPhase::kTrain, 5, 1), limits), 60);
  EXPECT_EQ(limit_seconds(state_in(RunPhase::kTrain, 5, 30), limits), 300);
  limits.train = 7;
  EXPECT_EQ(limit_seconds(state_in(RunPhase::kTrain, 5, 30), limits), 7);
  EXPECT_EQ(limit_seconds(state_in(RunPhase::kTrain, 0, 0), limits), 100);
  limits.train = 0;
  EXPECT_EQ(limit_seconds(state_in(RunPhase::kTrain, 0, 0), limits), 0) << "off";
}

TEST(Watchdog, ActsOnceOnSilenceAndNotOnProgress) {
  FlightRecorder recorder;
  recorder.enter(RunPhase::kTrain);
  recorder.begin_step(1);
  recorder.end_step();
  std::atomic<int> hangs{0};
  WatchdogLimits limits;
  limits.train = 2;
  Watchdog watchdog(recorder, {[&](double) { ++hangs; }, {}, {}}, limits);
  for (int i = 0; i < 30; ++i) {
    usleep(100'000);
    recorder.begin_step(2 + i);
  }
  EXPECT_EQ(hangs, 0);
  {
    const FlightPhase saving(&recorder, RunPhase::kSave);
    usleep(2'500'000);
    EXPECT_EQ(hangs, 0) << "a save has its own limit";
  }
  for (int i = 0; i < 100 && hangs == 0; ++i) usleep(100'000);
  usleep(500'000);
  EXPECT_EQ(hangs, 1);
}

}  // namespace
}  // namespace phalanx
