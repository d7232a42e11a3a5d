// Run by mpirun with 2, 3 and 4 ranks; each rank runs the whole suite. Rank 0 prints, the others
// print only what fails.
#include "parallel/mpi_communicator.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>

#include "parallel/agreement.h"
#include "tests/parallel/communicator_suite.h"

namespace phalanx {
namespace {

struct Worlds {
  explicit Worlds(MpiRuntime& runtime) {
    const auto make = [&](const char* name, MpiOptions::Path path, int64_t slot_bytes) {
      return make_mpi_communicator(runtime, MPI_COMM_WORLD, name, {path, slot_bytes});
    };
    window = make("window", MpiOptions::Path::kByHost, MpiOptions{}.slot_bytes);
    tiny_window = make("tiny_window", MpiOptions::Path::kByHost, 1024);
    messages = make("messages", MpiOptions::Path::kMessages, 1024);
  }
  std::unique_ptr<Communicator> window, tiny_window, messages;
};

const Worlds* worlds = nullptr;  // set by main before the tests are registered

Ranks ranks_of(const char* name, std::unique_ptr<Communicator> Worlds::*world, int64_t chunk_bytes,
               int64_t largest_count = 1'100'003) {
  return {name,
          [world](const std::function<void(Communicator&)>& body) { body(*(worlds->*world)); },
          at::kCPU, chunk_bytes, largest_count};
}

INSTANTIATE_TEST_SUITE_P(Mpi, CommunicatorSuite,
                         testing::Values(ranks_of("window", &Worlds::window, 256 << 10),
                                         ranks_of("tiny_window", &Worlds::tiny_window, 1024,
                                                  20'011),
                                         ranks_of("messages", &Worlds::messages, 1024)),
                         name_of_ranks);

TEST(MpiRanks, windows_and_messages_give_equal_bits) {
  const at::Tensor noise_N = at::randn({300'007}) * 1e3;
  const at::Tensor by_window_N = noise_N.clone(), by_message_N = noise_N.clone();
  worlds->window->all_reduce(by_window_N, ReduceOp::kSum)->wait();
  worlds->messages->all_reduce(by_message_N, ReduceOp::kSum)->wait();
  EXPECT_TRUE(at::equal(by_window_N, by_message_N));
  EXPECT_FALSE(at::equal(by_window_N, noise_N));
}

TEST(MpiRanks, one_failing_rank_is_named_to_all) {
  Communicator& world = *worlds->window;
  try {
    together(world, [&] {
      if (world.rank() == 1) throw std::invalid_argument("data.path: no file");
    });
    FAIL() << "rank " << world.rank() << " was not told";
  } catch (const AgreedError& error) {
    EXPECT_STREQ(error.what(), "data.path: no file (on rank 1)");
    EXPECT_EQ(error.code(), ExitCode::kBadInput);
  }
}

class FailurePrinter final : public testing::EmptyTestEventListener {
 public:
  explicit FailurePrinter(int rank) : rank_(rank) {}
  void OnTestPartResult(const testing::TestPartResult& result) override {
    if (!result.failed()) return;
    std::fprintf(stderr, "rank %d: %s:%d: %s\n", rank_, result.file_name(), result.line_number(),
                 result.message());
  }

 private:
  int rank_;
};

int run_all(int argc, char** argv) {
  at::set_num_threads(1);
  MpiRuntime runtime;
  const Worlds made(runtime);
  worlds = &made;
  testing::InitGoogleTest(&argc, argv);
  const int rank = made.window->rank();
  testing::TestEventListeners& listeners = testing::UnitTest::GetInstance()->listeners();
  if (rank != 0) {
    delete listeners.Release(listeners.default_result_printer());
    listeners.Append(new FailurePrinter(rank));
  }
  const at::Tensor failed_1 = at::full({1}, RUN_ALL_TESTS(), at::kInt);
  made.messages->all_reduce(failed_1, ReduceOp::kMax)->wait();
  return failed_1.item<int>();
}

}  // namespace
}  // namespace phalanx

int main(int argc, char** argv) { return phalanx::run_all(argc, argv); }
