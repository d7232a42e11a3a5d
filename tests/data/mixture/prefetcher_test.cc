#include "data/mixture/prefetcher.h"

#include <gtest/gtest.h>

#include "tests/data/mixture/fake_source.h"

namespace phalanx {
namespace {

using testing::small_setup;

TEST(Prefetcher, GivesTheLoadersBatchesAndTheirCursorsInOrder) {
  const auto setup = small_setup();
  BatchLoader plain(begin_run(setup.curriculum(), setup.sources), setup.row_sources(), 0, 2);
  Prefetcher ahead(
      BatchLoader(begin_run(setup.curriculum(), setup.sources), setup.row_sources(), 0, 2), 3);
  while (!plain.done()) {
    const Batch expected = plain.next();
    const Batch found = ahead.next();
    EXPECT_TRUE(found.tokens_RT.equal(expected.tokens_RT));
    EXPECT_EQ(found.cursor_after, expected.cursor_after);
  }
  EXPECT_THROW((void)ahead.next(), std::invalid_argument);
}

TEST(Prefetcher, RethrowsTheReadersErrorAtTheStepThatMetItAndEverAfter) {
  const auto setup = small_setup();
  BatchLoader plain(begin_run(setup.curriculum(), setup.sources), setup.row_sources(), 0, 1);
  for (int i = 0; i < 4; ++i) (void)plain.next();
  const int64_t window = plain.next().tokens_RT.const_data_ptr<int64_t>()[0];
  auto sources = setup.row_sources();
  auto broken = std::make_shared<testing::FakeSource>(
      window / 100'000'000,
      setup.sources[static_cast<size_t>(window / 100'000'000)].rows_by_stage[0], 6);
  broken->broken_window = window % 100'000'000 / 6;
  sources[0][static_cast<size_t>(window / 100'000'000)] = broken;
  Prefetcher ahead(BatchLoader(begin_run(setup.curriculum(), setup.sources), sources, 0, 1), 2);
  int64_t read = 0;
  try {
    for (;; ++read) (void)ahead.next();
  } catch (const std::runtime_error& error) {
    EXPECT_STREQ(error.what(), "the disk failed");
  }
  EXPECT_LE(read, 4);
  EXPECT_THROW((void)ahead.next(), std::runtime_error);
}

TEST(Prefetcher, StopsWhenDestroyedWithBatchesUnread) {
  const auto setup = small_setup();
  for (int64_t num_ahead = 1; num_ahead < 30; ++num_ahead) {
    Prefetcher ahead(
        BatchLoader(begin_run(setup.curriculum(), setup.sources), setup.row_sources(), 0, 1),
        num_ahead);
    if (num_ahead % 2 == 0) (void)ahead.next();
  }
}

}  // namespace
}  // namespace phalanx
