#include "trainer/batch_wait.h"

#include <gtest/gtest.h>

#include "tests/data/mixture/waiting_source.h"

namespace phalanx {
namespace {

/// Of a run whose third source is in a store that brings nothing, or is not.
struct AwaitedRun {
  explicit AwaitedRun(bool waits) {
    if (waits) sources[0][2] = waiting;
  }
  testing::TestRun setup = testing::small_setup();
  StageSources sources = setup.row_sources();
  std::shared_ptr<testing::WaitingSource> waiting =
      std::make_shared<testing::WaitingSource>(2, 300, 6);
  Prefetcher start() const {
    return Prefetcher(BatchLoader(begin_run(setup.curriculum(), setup.sources), sources, 0, 1), 2);
  }
};

TEST(BatchWait, AsksOnceWhereThereIsABatch) {
  const AwaitedRun run(false);
  Prefetcher ahead = run.start();
  while (!ahead.next_within(0.01)) continue;  // the first one has come, and soon the second
  std::vector<DataWait> waits;
  const AwaitedBatch awaited = await_batch(ahead, [&](DataWait wait) {
    waits.push_back(wait);
    return Requests{.stop = true};
  });
  ASSERT_EQ(waits.size(), 1u);
  EXPECT_EQ(awaited.batch.has_value(), waits.front() == DataWait::kNone);
  EXPECT_TRUE(awaited.asked.stop);
}

TEST(BatchWait, AStopIsHeardWhileNothingComes) {
  const AwaitedRun run(true);
  Prefetcher ahead = run.start();
  int asked = 0;
  const AwaitedBatch awaited = await_batch(ahead, [&](DataWait wait) {
    EXPECT_EQ(wait, DataWait::kWaiting);
    ++asked;
    return Requests{.stop = asked == 3, .save = asked == 1, .stop_reason = "SIGUSR1"};
  });
  EXPECT_FALSE(awaited.batch.has_value());
  EXPECT_EQ(awaited.failure, nullptr);
  EXPECT_TRUE(awaited.asked.stop);
  EXPECT_TRUE(awaited.asked.save);  // of the first question
  EXPECT_EQ(awaited.asked.stop_reason, "SIGUSR1");
  EXPECT_EQ(asked, 3);
}

TEST(BatchWait, WhatGoesWrongIsKept) {
  const AwaitedRun run(true);
  Prefetcher ahead = run.start();
  const AwaitedBatch awaited = await_batch(ahead, [&](DataWait) {
    run.waiting->stop_waiting();  // its read throws
    return Requests{};
  });
  EXPECT_FALSE(awaited.batch.has_value());
  ASSERT_NE(awaited.failure, nullptr);
  EXPECT_THROW(std::rethrow_exception(awaited.failure), std::runtime_error);
}

}  // namespace
}  // namespace phalanx
