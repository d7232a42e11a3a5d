#include "parallel/thread_communicator.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "tests/parallel/communicator_suite.h"
#include "tests/support/ranks.h"

namespace phalanx {
namespace {

Ranks threads(int size) {
  return {std::to_string(size) + "_threads",
          [size](const std::function<void(Communicator&)>& body) { run_ranks(size, body); }};
}

INSTANTIATE_TEST_SUITE_P(Threads, CommunicatorSuite,
                         testing::Values(threads(1), threads(2), threads(3), threads(4),
                                         threads(8)),
                         name_of_ranks);

// The caller learns which rank failed first and why; the others do not hang.
std::string failure_of(int size, const std::function<void(Communicator&)>& body) {
  try {
    run_ranks(size, body);
  } catch (const RankFailure& failure) {
    return failure.what();
  }
  return "no failure";
}

TEST(ThreadRanks, a_failing_rank_wakes_those_that_wait_in_a_collective) {
  const std::string text = failure_of(4, [](Communicator& world) {
    if (world.rank() == 2) throw std::invalid_argument("no such file");
    world.barrier();
  });
  EXPECT_EQ(text, "rank 2 of 4: no such file");
}

TEST(ThreadRanks, a_failing_rank_wakes_those_that_wait_in_another_group) {
  const std::string text = failure_of(4, [](Communicator& world) {
    const std::unique_ptr<Communicator> pair = world.split(world.rank() / 2, 0, "pair");
    world.barrier();
    if (world.rank() == 3) throw std::invalid_argument("broken");
    for (int round = 0; round < 100; ++round) pair->barrier();
    world.barrier();
  });
  EXPECT_EQ(text, "rank 3 of 4: broken");
}

TEST(ThreadRanks, a_rank_that_returns_early_wakes_those_that_wait_for_it) {
  const std::string text = failure_of(2, [](Communicator& world) {
    if (world.rank() == 1) return;
    world.barrier();
  });
  EXPECT_EQ(text, "rank 0 of 2: world: rank 0 waits for rank 1, which has left");
}

TEST(ThreadRanks, ranks_that_send_different_sizes_are_told_so) {
  const std::string text = failure_of(2, [](Communicator& world) {
    const at::Tensor tensor_N = at::zeros({world.rank() + 1}, at::kFloat);
    world.all_reduce(tensor_N, ReduceOp::kSum)->wait();
  });
  EXPECT_NE(text.find("the ranks issued different collectives"), std::string::npos) << text;
}

TEST(ThreadRanks, the_original_exception_is_kept) {
  try {
    run_ranks(2, [](Communicator& world) {
      if (world.rank() == 0) throw std::out_of_range("far");
      world.barrier();
    });
    FAIL() << "expected a failure";
  } catch (const RankFailure& failure) {
    EXPECT_EQ(failure.rank, 0);
    EXPECT_THROW(std::rethrow_exception(failure.cause), std::out_of_range);
  }
}

}  // namespace
}  // namespace phalanx
