#pragma once
// The promise of a resume, over random curricula: the ids of every step are the same at 1 to 64
// replicas and after any number of restarts, each at another number of replicas.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "data/mixture/batch_loader.h"
#include "tests/data/mixture/fake_source.h"

namespace phalanx::testing {

using StepIds = std::vector<int64_t>;

/// The next step of all replicas together.
inline StepIds next_ids(std::vector<BatchLoader>& replicas, Cursor& cursor) {
  StepIds ids;
  for (BatchLoader& loader : replicas) {
    const Batch batch = loader.next();
    const auto* data = batch.tokens_RT.const_data_ptr<int64_t>();
    ids.insert(ids.end(), data, data + batch.tokens_RT.numel());
    cursor = batch.cursor_after;
  }
  return ids;
}

inline std::vector<BatchLoader> replicas_of(const PlannedRun& run, const TestRun& setup,
                                            int64_t size) {
  std::vector<BatchLoader> replicas;
  for (int64_t rank = 0; rank < size; ++rank) {
    replicas.emplace_back(run, setup.row_sources(), rank, size);
  }
  return replicas;
}

/// False if the curriculum of the seed runs out of rows, and there is nothing to compare.
inline bool check_restarts(uint64_t seed) {
  const TestRun setup = random_setup(seed, seed % 2 == 0, 64);
  PlannedRun run;
  try {
    run = begin_run(setup.curriculum(), setup.sources);
  } catch (const std::invalid_argument& error) {
    EXPECT_NE(std::string(error.what()).find("found none at row"), std::string::npos)
        << error.what();
    return false;
  }
  std::vector<StepIds> expected;
  Cursor cursor;
  std::vector<BatchLoader> one = replicas_of(run, setup, 1);
  while (!one[0].done()) expected.push_back(next_ids(one, cursor));
  const std::string end = cursor_to_json(cursor).dump();
  Dice dice(seed);
  cursor = run.cursor;
  for (size_t step = 0; step < expected.size();) {
    const std::string stored = cursor_to_json(cursor).dump();
    run = resume_run(setup.curriculum(), setup.sources,
                     cursor_from_json(nlohmann::json::parse(stored), "state.json"),
                     CurriculumFrom::kStart);
    std::vector<BatchLoader> replicas = replicas_of(run, setup, int64_t{1} << dice.between(0, 6));
    for (int64_t i = dice.between(1, 8); i > 0 && step < expected.size(); --i, ++step) {
      EXPECT_EQ(next_ids(replicas, cursor), expected[step]) << "seed " << seed << " step " << step;
    }
  }
  EXPECT_EQ(cursor_to_json(cursor).dump(), end) << "seed " << seed;
  return true;
}

}  // namespace phalanx::testing
