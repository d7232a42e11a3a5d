// Parts of a step and of a run: micro-batches, losses by source, stages.
#include <gtest/gtest.h>

#include "tests/support/test_model.h"
#include "trainer/micro_batch.h"
#include "trainer/stage_runs.h"
#include "trainer/train_step.h"

namespace phalanx {
namespace {

constexpr int64_t kLength = 6;

Batch four_rows() {
  Batch batch;
  batch.tokens_RT = test_ids(4, kLength, 50, 1);
  batch.targets_RT = test_ids(4, kLength, 50, 2);
  batch.loss_mask_RT = at::ones({4, kLength}, at::kBool);
  batch.loss_mask_RT[2].slice(0, 4, kLength).fill_(false);
  batch.source_R = {1, 0, 1, 2};
  batch.document_starts_R = {{}, {0, 2, 5}, {kLength}, {3}};
  return batch;
}

std::vector<int64_t> ids(const at::Tensor& row) {
  const at::Tensor flat = row.contiguous();
  return {flat.const_data_ptr<int64_t>(), flat.const_data_ptr<int64_t>() + flat.numel()};
}

TEST(MicroBatch, CutsRowsWithWholeRowAttentionWhenDocumentsAreNotMasked) {
  const Batch batch = four_rows();
  const RopeTable rope(100, 4, kLength, at::kCPU);
  const TokenBatch cut = micro_batch(batch, 1, 2, rope, {});
  EXPECT_TRUE(at::equal(cut.tokens_BT, batch.tokens_RT.narrow(0, 1, 2)));
  EXPECT_TRUE(at::equal(cut.targets_BT, batch.targets_RT.narrow(0, 1, 2)));
  EXPECT_TRUE(at::equal(cut.loss_mask_BT, batch.loss_mask_RT.narrow(0, 1, 2)));
  EXPECT_TRUE(cut.segments.empty());
  EXPECT_EQ(ids(cut.positions_BT[0]), (std::vector<int64_t>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(cut.rope, &rope);
}

TEST(MicroBatch, DocumentsBecomeSegmentsWithPositionsFromZero) {
  const RopeTable rope(100, 4, kLength, at::kCPU);
  const TokenBatch cut = micro_batch(four_rows(), 1, 3, rope, {true, at::kCPU});
  const std::vector<std::vector<int64_t>> expected{{0, 0, 2}, {0, 2, 5}, {0, 5, 6},
                                                   {1, 0, 6}, {2, 0, 3}, {2, 3, 6}};
  std::vector<std::vector<int64_t>> found;
  for (const Segment& s : cut.segments) found.push_back({s.sequence, s.begin, s.end});
  EXPECT_EQ(found, expected);
  EXPECT_EQ(ids(cut.positions_BT[0]), (std::vector<int64_t>{0, 1, 0, 1, 2, 0}));
  EXPECT_EQ(ids(cut.positions_BT[1]), (std::vector<int64_t>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(ids(cut.positions_BT[2]), (std::vector<int64_t>{0, 1, 2, 0, 1, 2}));
}

TEST(AddLosses, RowsGoToTheirSourcesAndMaskedTargetsAreNotCounted) {
  const Batch batch = four_rows();
  LossSums sums{{0, 0, 0}, {0, 0, 0}};
  const at::Tensor mask = batch.loss_mask_RT.narrow(0, 1, 3);
  const at::Tensor nats = nats_of_rows(at::arange(18, at::kFloat) * mask.flatten(), kLength);
  const std::vector<int32_t> sources{0, 1, 2};
  add_losses(nats, mask, sources, sums);
  EXPECT_EQ(sums.nats, (std::vector<double>{15, 6 + 7 + 8 + 9, 87}));
  EXPECT_EQ(sums.targets, (std::vector<double>{6, 4, 6}));
  add_losses(nats, mask, sources, sums);
  EXPECT_EQ(sums.total_nats(), 2 * (15 + 30 + 87));
  EXPECT_EQ(sums.total_targets(), 32);
}

/// The second stage has 40 rows.
RunConfig two_stages() {
  RunConfig config;
  config.model.shape.head_dim = 8;
  StageConfig stage;
  stage.name = "short";
  stage.sequence_length = 16;
  stage.global_batch_size = 4;
  stage.micro_batch_size = 2;
  stage.learning_rate.peak = 1.0;
  stage.learning_rate.warmup = {Duration::Unit::kSteps, 5};
  config.stages.push_back(stage);
  stage.name = "long";
  stage.sequence_length = 32;
  stage.micro_batch_size = 1;
  stage.rope_theta = 5e5;
  stage.phases = {{"only", 40 * 32, {}, Ramp::kStep, {}}};
  config.stages.push_back(stage);
  return config;
}

TEST(StageRuns, StepsAddUpOverTheSpansOfAStage) {
  MixturePlan plan;  // a batch ramp of 2, then 4 rows; then the second stage
  plan.steps = {{0, 0, 0, 20, 2}, {0, 10, 20, 60, 4}, {1, 20, 60, 100, 4}};
  const std::vector<StageRun> runs = make_stage_runs(two_stages(), plan, {}, at::kCPU);
  ASSERT_EQ(runs.size(), 2U);
  EXPECT_EQ(runs[0].first_row, 0);
  EXPECT_EQ(runs[0].end_step, 20);
  EXPECT_EQ(runs[0].micro_batch_size, 2);
  EXPECT_EQ(runs[1].first_row, 60);
  EXPECT_EQ(runs[1].end_step, 30);
  EXPECT_GE(runs[1].rope.cos_TH.size(0), 32);
  EXPECT_EQ(runs[1].rope.cos_TH.size(1), 4);
  EXPECT_FALSE(
      at::equal(runs[0].rope.cos_TH.narrow(0, 0, 16), runs[1].rope.cos_TH.narrow(0, 0, 16)));
  EXPECT_DOUBLE_EQ(runs[0].schedule.rate(8, 2), 1.0);
  EXPECT_EQ(stage_of(runs, 19).name, "short");
  EXPECT_EQ(stage_of(runs, 20).name, "long");
  EXPECT_EQ(stage_of(runs, 30).name, "long");
}

TEST(StageRuns, AStageBegunBeforeAChangedCurriculumCountsFromItsBeginning) {
  MixturePlan plan;
  plan.steps = {{1, 25, 80, 100, 4}};
  const std::vector<StageRun> runs =
      make_stage_runs(two_stages(), plan, {{"short", 0}, {"long", 60}}, at::kCPU);
  ASSERT_EQ(runs.size(), 1U);
  EXPECT_EQ(runs[0].name, "long");
  EXPECT_EQ(runs[0].first_row, 60);
  EXPECT_EQ(runs[0].end_step, 30);
  EXPECT_DOUBLE_EQ(runs[0].schedule.rate(80 - 60, 4), 1.0);
}

TEST(StageRuns, StepsBeforeAChangedCurriculumHadTheSizesOfTheConfiguration) {
  RunConfig config = two_stages();
  config.stages[1].batch_ramp = {{24 * 32, 8}};  // steps of 4 rows up to row 24 of the stage
  MixturePlan plan;
  plan.steps = {{1, 26, 84, 100, 8}};
  const LrSchedule schedule = make_stage_runs(config, plan, {{"long", 60}}, at::kCPU)[0].schedule;
  EXPECT_EQ(schedule.warmup_rows(), 5 * 4);
  EXPECT_DOUBLE_EQ(schedule.rate(24, 8), 1.0 - 4.0 / 20);
}

}  // namespace
}  // namespace phalanx
