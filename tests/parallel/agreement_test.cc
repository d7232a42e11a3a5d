#include "parallel/agreement.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <system_error>

#include "tests/support/ranks.h"

namespace phalanx {
namespace {

// What every rank of four gets from together() over `step`; all must get the same.
void expect_agreed(const std::function<void(int)>& step, ExitCode code, const std::string& text) {
  run_ranks(4, [&](Communicator& world) {
    try {
      together(world, [&] { step(world.rank()); });
      ADD_FAILURE() << "rank " << world.rank() << " was not told";
    } catch (const AgreedError& error) {
      EXPECT_EQ(error.what(), text);
      EXPECT_EQ(error.code(), code);
    }
    world.barrier();  // the group is still in order
  });
}

TEST(Agreement, a_step_that_succeeds_everywhere_returns_its_values) {
  run_ranks(4, [](Communicator& world) {
    EXPECT_EQ(together(world, [&] { return world.rank() * 10; }), world.rank() * 10);
  });
}

TEST(Agreement, one_failing_rank_is_named_to_all) {
  expect_agreed(
      [](int rank) {
        if (rank == 2) throw std::invalid_argument("data.path: no file");
      },
      ExitCode::kBadInput, "data.path: no file (on rank 2)");
}

TEST(Agreement, the_same_failure_everywhere_is_told_once_without_ranks) {
  expect_agreed([](int) { throw std::invalid_argument("train.steps: expected 1, found 0"); },
                ExitCode::kBadInput, "train.steps: expected 1, found 0");
}

TEST(Agreement, different_failures_are_listed_with_their_ranks) {
  expect_agreed(
      [](int rank) {
        if (rank == 1) throw std::logic_error("impossible");
        throw std::system_error(ENOSPC, std::generic_category(), "/data/x");
      },
      ExitCode::kBadInput,
      "/data/x: No space left on device (on ranks 0, 2-3)\nimpossible (on rank 1)");
}

TEST(Agreement, the_code_follows_the_kind_of_failure) {
  expect_agreed([](int) { throw NonFiniteError("loss"); }, ExitCode::kNonFinite, "loss");
  expect_agreed([](int) { throw StoppedError("asked"); }, ExitCode::kStopped, "asked");
  expect_agreed([](int) { throw std::runtime_error("bug"); }, ExitCode::kBug, "bug");
  const std::system_error late(std::make_error_code(std::errc::timed_out), "read");
  expect_agreed([&](int) { throw late; }, ExitCode::kUnavailable, late.what());
  const std::system_error broken(std::make_error_code(std::errc::io_error), "read");
  expect_agreed([&](int) { throw broken; }, ExitCode::kBadInput, broken.what());
  expect_agreed([](int) { throw 7; }, ExitCode::kBug, "an exception of unknown type");
}

TEST(Agreement, an_agreed_failure_passes_through_an_outer_step_unchanged) {
  expect_agreed([](int) { throw AgreedError(ExitCode::kHang, "silent"); }, ExitCode::kHang,
                "silent");
}

}  // namespace
}  // namespace phalanx
