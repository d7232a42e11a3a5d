// The rows that a step is said to read are those that the batch loader gives the trainer.
#include "trainer/step_rows.h"

#include <gtest/gtest.h>

#include "data/mixture/resume.h"
#include "tests/data/mixture/fake_source.h"
#include "trainer/attempt_start.h"

namespace phalanx {
namespace {

using testing::random_setup;
using testing::small_setup;
using testing::TestRun;

RunData data_of(const TestRun& setup) {
  RunData data;
  data.sources = setup.row_sources();
  return data;
}

/// Compares the rows of a step with the batches of dp_size replicas at the same cursor.
void expect_batches(const PlannedRun& run, const TestRun& setup, const Cursor& cursor,
                    int64_t dp_size) {
  const StepRows rows(run.plan, data_of(setup), cursor.step);
  const int64_t each = rows.num_rows() / dp_size;
  for (int64_t rank = 0; rank < dp_size; ++rank) {
    BatchLoader loader({run.plan, cursor}, setup.row_sources(), rank, dp_size);
    const Batch batch = loader.next();
    int64_t valid = 0;
    for (int64_t r = 0; r < each; ++r) {
      const StepRow row = rows.read(rank * each + r);
      valid += row.num_valid_targets;
      ASSERT_EQ(row.draw.source, batch.source_R[static_cast<size_t>(r)]);
      ASSERT_EQ(row.row.document_starts, batch.document_starts_R[static_cast<size_t>(r)]);
      const std::vector<int64_t> tokens(row.row.tokens.begin(), row.row.tokens.end());
      const int64_t length = rows.sequence_length();
      const int64_t* inputs = batch.tokens_RT.const_data_ptr<int64_t>() + r * length;
      const int64_t* targets = batch.targets_RT.const_data_ptr<int64_t>() + r * length;
      ASSERT_EQ(std::vector<int64_t>(tokens.begin(), tokens.end() - 1),
                std::vector<int64_t>(inputs, inputs + length));
      ASSERT_EQ(std::vector<int64_t>(tokens.begin() + 1, tokens.end()),
                std::vector<int64_t>(targets, targets + length));
    }
    ASSERT_EQ(valid, batch.num_valid_targets);
  }
}

TEST(StepRows, AreWhatTheBatchLoaderGivesAtAnyNumberOfReplicas) {
  TestRun setup = small_setup();
  for (const bool mask : {false, true}) {
    setup.data.document_mask = mask;
    const PlannedRun run = begin_run(setup.curriculum(), setup.sources);
    RowSchedule schedule(run.plan);
    for (const int64_t step : {int64_t{0}, int64_t{9}, run.plan->end_step() - 1}) {
      for (const int64_t dp_size : {1, 2, 8}) {
        expect_batches(run, setup, cursor_at(schedule, run.cursor, step), dp_size);
      }
    }
  }
}

TEST(StepRows, OfRandomCurriculaAreWhatTheBatchLoaderGives) {
  for (uint64_t seed = 0; seed < 60; ++seed) {
    const TestRun setup = random_setup(seed, true);
    const PlannedRun run = begin_run(setup.curriculum(), setup.sources);
    RowSchedule schedule(run.plan);
    for (int64_t step = 0; step < run.plan->end_step(); step += 7) {
      expect_batches(run, setup, cursor_at(schedule, run.cursor, step), 1);
    }
  }
}

/// The plan of a step by way of the ledger alone, as it lies in a later checkpoint.
PlannedRun plan_of_step(const Cursor& ledger, int64_t step, const std::vector<TestRun>& setups) {
  const size_t segment = segment_of(ledger, step);
  return resume_run(setups[segment].curriculum(), setups[segment].sources,
                    ledger_until(ledger, segment), CurriculumFrom::kStart);
}

TEST(StepRows, FollowTheLedgerOverSkippedStepsAndChangedCurricula) {
  std::vector<TestRun> setups(3, small_setup());
  setups[1].stages[0].phases[1].mix = {{"web", 0.9}, {"code", 0.1}};
  setups[2].stages[0].global_batch_size = 32;
  // Trained: 0 to 3, 6 and 7 of the first, then up to 12 of the second, then the third.
  std::vector<Batch> read;
  BatchLoader first(begin_run(setups[0].curriculum(), setups[0].sources), setups[0].row_sources(),
                    0, 1);
  for (int64_t step = 0; step < 4; ++step) read.push_back(first.next());
  first.skip(2);
  for (int64_t step = 6; step < 8; ++step) read.push_back(first.next());
  Cursor cursor = first.cursor();
  for (size_t segment = 1; segment < setups.size(); ++segment) {
    const TestRun& setup = setups[segment];
    BatchLoader next(resume_run(setup.curriculum(), setup.sources, cursor, CurriculumFrom::kResume),
                     setup.row_sources(), 0, 1);
    for (int64_t step = 0; step < 4; ++step) read.push_back(next.next());
    cursor = next.cursor();
  }
  ASSERT_EQ(cursor.segments.size(), 3);
  ASSERT_EQ(read.size(), 14);
  for (const Batch& batch : read) {
    const PlannedRun run = plan_of_step(cursor, batch.step, setups);
    EXPECT_FALSE(was_skipped(cursor, run.plan->step_rows(batch.step).first_row));
    const StepRows rows(run.plan, data_of(setups[segment_of(cursor, batch.step)]), batch.step);
    ASSERT_EQ(rows.num_rows(), batch.tokens_RT.size(0));
    for (int64_t r = 0; r < rows.num_rows(); ++r) {
      ASSERT_EQ(rows.read(r).row.tokens[0], batch.tokens_RT[r][0].item<int64_t>()) << batch.step;
    }
  }
  for (const int64_t step : {4, 5}) {
    const PlannedRun run = plan_of_step(cursor, step, setups);
    EXPECT_TRUE(was_skipped(cursor, run.plan->step_rows(step).first_row));
  }
}

TEST(StepRows, AConfigurationThatIsNotTheSegmentsIsRefused) {
  std::vector<TestRun> setups(2, small_setup());
  setups[1].stages[0].phases[0].mix = {{"web", 0.9}, {"code", 0.1}};
  const PlannedRun begun = begin_run(setups[0].curriculum(), setups[0].sources);
  RowSchedule schedule(begun.plan);
  const Cursor cursor = cursor_at(schedule, begun.cursor, 5);
  const PlannedRun resumed =
      resume_run(setups[1].curriculum(), setups[1].sources, cursor, CurriculumFrom::kResume);
  EXPECT_EQ(plan_of_step(resumed.cursor, 4, setups).plan->hash, begun.plan->hash);
  EXPECT_THROW((void)plan_of_step(resumed.cursor, 4, {setups[1], setups[1]}),
               std::invalid_argument);
}

TEST(PastConfigs, GrowByTheSegmentThatEndedAndGoWithAFork) {
  TrainState state;
  EXPECT_EQ(past_configs_for(state, "", 1), std::vector<std::string>());  // a new run
  state.cursor.segments.resize(1);
  EXPECT_EQ(past_configs_for(state, "a", 1), std::vector<std::string>());
  EXPECT_EQ(past_configs_for(state, "a", 2), std::vector<std::string>{"a"});
  state.cursor.segments.resize(2);
  state.past_configs = {"a"};
  EXPECT_EQ(past_configs_for(state, "b", 2), std::vector<std::string>{"a"});
  EXPECT_EQ(past_configs_for(state, "b", 3), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(past_configs_for(state, "b", 1), std::vector<std::string>());
  state.past_configs = {};  // written before they were recorded
  EXPECT_EQ(past_configs_for(state, "b", 3), (std::vector<std::string>{"", "b"}));
}

}  // namespace
}  // namespace phalanx
