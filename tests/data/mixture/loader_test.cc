#include "data/mixture/batch_loader.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "tests/data/mixture/fake_source.h"
#include "tests/data/mixture/restart_property.h"

namespace phalanx {
namespace {

using testing::small_setup;
using testing::TestRun;

using Ids = std::vector<int64_t>;

void append(const at::Tensor& tensor, Ids& ids) {
  const auto* data = tensor.const_data_ptr<int64_t>();
  ids.insert(ids.end(), data, data + tensor.numel());
}

BatchLoader begin(const TestRun& setup, int64_t rank, int64_t size) {
  return BatchLoader(begin_run(setup.curriculum(), setup.sources), setup.row_sources(), rank, size);
}

BatchLoader resume(const TestRun& setup, const Cursor& cursor, int64_t rank, int64_t size) {
  return BatchLoader(resume_run(setup.curriculum(), setup.sources, cursor, CurriculumFrom::kStart),
                     setup.row_sources(), rank, size);
}

std::vector<Ids> ids_of_run(const TestRun& setup) {
  std::vector<Ids> steps;
  BatchLoader loader = begin(setup, 0, 1);
  while (!loader.done()) {
    steps.emplace_back();
    append(loader.next().tokens_RT, steps.back());
  }
  return steps;
}

TEST(BatchLoader, TheIdsOfEveryStepAreTheSameAtOneToSixtyFourReplicas) {
  const TestRun setup = small_setup();
  const std::vector<Ids> expected = ids_of_run(setup);
  ASSERT_EQ(expected.size(), 20U);
  for (int64_t size : {2, 4, 8, 16, 32, 64}) {
    std::vector<BatchLoader> loaders;
    for (int64_t rank = 0; rank < size; ++rank) loaders.push_back(begin(setup, rank, size));
    for (const Ids& step : expected) {
      Ids found;
      for (BatchLoader& loader : loaders) append(loader.next().tokens_RT, found);
      ASSERT_EQ(found, step) << size << " replicas";
    }
  }
}

TEST(BatchLoader, TheIdsAreTheSameAfterAnyNumberOfRestartsAtOtherNumbersOfReplicas) {
  const TestRun setup = small_setup();
  const std::vector<Ids> expected = ids_of_run(setup);
  testing::Dice dice(3);
  for (int trial = 0; trial < 40; ++trial) {
    Cursor cursor = begin_run(setup.curriculum(), setup.sources).cursor;
    size_t step = 0;
    while (step < expected.size()) {
      const int64_t size = int64_t{1} << dice.between(0, 6);
      const int64_t steps = dice.between(1, 4);
      std::vector<BatchLoader> loaders;
      for (int64_t rank = 0; rank < size; ++rank)
        loaders.push_back(resume(setup, cursor, rank, size));
      for (int64_t i = 0; i < steps && step < expected.size(); ++i, ++step) {
        Ids found;
        for (BatchLoader& loader : loaders) {
          Batch batch = loader.next();
          append(batch.tokens_RT, found);
          cursor = cursor_from_json(cursor_to_json(batch.cursor_after), "state.json");
        }
        ASSERT_EQ(found, expected[step]);
      }
    }
  }
}

TEST(BatchLoader, RandomCurriculaGiveTheSameIdsAtAnyReplicasThroughAnyRestarts) {
  int64_t compared = 0;
  for (uint64_t seed = 0; seed < 300; ++seed) compared += testing::check_restarts(seed);
  EXPECT_GT(compared, 200);
}

TEST(BatchLoader, RandomCurriculaGiveTheSameIdsAfterARestartAnywhere) {
  for (uint64_t seed = 0; seed < 60; ++seed) {
    const TestRun setup = testing::random_setup(seed, true);
    const std::vector<Ids> expected = ids_of_run(setup);
    testing::Dice dice(seed);
    BatchLoader first = begin(setup, 0, 1);
    const int64_t stop = dice.between(0, static_cast<int64_t>(expected.size()) - 1);
    for (int64_t i = 0; i < stop; ++i) (void)first.next();
    BatchLoader second = resume(setup, first.cursor(), 0, 1);
    for (size_t i = static_cast<size_t>(stop); i < expected.size(); ++i) {
      Ids found;
      append(second.next().tokens_RT, found);
      ASSERT_EQ(found, expected[i]) << "seed " << seed << " step " << i;
    }
    EXPECT_TRUE(second.done());
  }
}

TEST(BatchLoader, TargetsFollowTheTokensAndPaddingAndDocumentEndsDoNotCount) {
  TestRun setup = small_setup();
  for (bool document_mask : {false, true}) {
    setup.data.document_mask = document_mask;
    BatchLoader loader = begin(setup, 1, 2);
    int64_t padded = 0;
    while (!loader.done()) {
      const Batch batch = loader.next();
      ASSERT_EQ(batch.tokens_RT.size(0), 32);
      ASSERT_EQ(batch.source_R.size(), 32U);
      const auto* tokens = batch.tokens_RT.const_data_ptr<int64_t>();
      const auto* targets = batch.targets_RT.const_data_ptr<int64_t>();
      const auto* mask = batch.loss_mask_RT.const_data_ptr<bool>();
      int64_t valid = 0;
      for (int64_t r = 0; r < 32; ++r) {
        ASSERT_EQ(tokens[r * 6] / 100'000'000, batch.source_R[static_cast<size_t>(r)]);
        const int64_t rows =
            setup.sources[static_cast<size_t>(batch.source_R[static_cast<size_t>(r)])]
                .rows_by_stage[0];
        const bool last = tokens[r * 6] % 100'000'000 / 6 == rows - 1;
        padded += last;
        for (int64_t t = 0; t < 6; ++t) {
          ASSERT_EQ(targets[r * 6 + t], tokens[r * 6 + t] + 1);
          const bool expected = !(last && t == 5) && !(document_mask && t == 1);
          ASSERT_EQ(mask[r * 6 + t], expected);
          valid += expected;
        }
      }
      ASSERT_EQ(batch.num_valid_targets, valid);
    }
    EXPECT_GT(padded, 0);
  }
}

TEST(BatchLoader, ReplicasThatDoNotDivideTheBatchAreAnErrorAndNeverRounded) {
  try {
    begin(small_setup(), 0, 3);
    FAIL() << "accepted 3 replicas of 64 rows";
  } catch (const std::invalid_argument& error) {
    EXPECT_STREQ(error.what(),
                 "stages[0].global_batch_size: expected a multiple of the 3 "
                 "data-parallel replicas, found 64");
  }
}

TEST(BatchLoader, ASourceOfAnotherSizeThanPlannedIsAnError) {
  const TestRun setup = small_setup();
  StageSources sources = setup.row_sources();
  sources[0][1] = std::make_shared<testing::FakeSource>(1, 89, 6);
  try {
    BatchLoader(begin_run(setup.curriculum(), setup.sources), sources, 0, 1);
    FAIL() << "accepted a source of 89 rows";
  } catch (const std::invalid_argument& error) {
    EXPECT_STREQ(error.what(),
                 "data.sources.code: expected the 90 rows of 6 tokens that the plan "
                 "was made for, found 89");
  }
}

TEST(BatchPool, FillsAgainOnlyWhatNobodyHolds) {
  BatchPool pool;
  std::optional<Batch> first = pool.make(4, 16);
  first->tokens_RT.fill_(7);
  const at::Tensor view = first->tokens_RT.narrow(0, 1, 2);
  const void* const tokens = first->tokens_RT.data_ptr();
  const Batch second = pool.make(4, 16);
  EXPECT_NE(second.tokens_RT.data_ptr(), tokens);
  first.reset();
  const Batch third = pool.make(4, 16);  // the view is still held
  EXPECT_NE(third.tokens_RT.data_ptr(), tokens);
  EXPECT_TRUE(view.eq(7).all().item<bool>());
  const void* const dropped = pool.make(4, 16).targets_RT.data_ptr();
  EXPECT_EQ(pool.make(4, 16).targets_RT.data_ptr(), dropped);
  const Batch longer = pool.make(4, 32);
  EXPECT_EQ(longer.tokens_RT.size(1), 32);
  EXPECT_EQ(longer.num_valid_targets, 0);
}

TEST(BatchLoader, StepsFillTheSameMemoryAgain) {
  BatchLoader loader = begin(small_setup(), 0, 1);
  const at::Tensor shape = loader.next().tokens_RT.clone();
  const void* const tokens = loader.next().tokens_RT.data_ptr();
  std::vector<Batch> others;  // get what has been freed
  for (int i = 0; i < 16; ++i) others.push_back(make_batch(shape.size(0), shape.size(1)));
  EXPECT_EQ(loader.next().tokens_RT.data_ptr(), tokens);
}

}  // namespace
}  // namespace phalanx
