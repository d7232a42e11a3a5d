#include "parallel/store_communicator.h"

#include <gtest/gtest.h>

#include <fmt/format.h>

#include <torch/csrc/distributed/c10d/HashStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include "tests/parallel/communicator_suite.h"
#include "tests/support/free_port.h"
#include "tests/support/ranks.h"

namespace phalanx {
namespace {

// Threads that talk only through one store.
Ranks store_clients(int size) {
  const auto run = [size](const std::function<void(Communicator&)>& body) {
    const auto store = c10::make_intrusive<c10d::HashStore>();
    store->setTimeout(std::chrono::seconds(60));
    run_ranks(size, [&](Communicator& threads) {
      const std::unique_ptr<Communicator> world =
          make_store_communicator(store, threads.rank(), size, "world", "test");
      body(*world);
      world->barrier();
      EXPECT_EQ(world->rank(), threads.rank());
    });
    EXPECT_EQ(store->getNumKeys(), 0) << "messages were left in the store";
  };
  return {std::to_string(size) + "_clients", run};
}

INSTANTIATE_TEST_SUITE_P(Store, CommunicatorSuite,
                         testing::Values(store_clients(1), store_clients(3)), name_of_ranks);

TEST(StoreRanks, a_silent_peer_ends_in_an_error_that_names_the_message) {
  const auto store = c10::make_intrusive<c10d::HashStore>();
  store->setTimeout(std::chrono::milliseconds(50));
  const std::unique_ptr<Communicator> lonely =
      make_store_communicator(store, /*rank=*/0, /*size=*/2, "pair", "test");
  try {
    lonely->barrier();
    FAIL() << "nobody came, and nothing was said";
  } catch (const std::runtime_error& error) {
    EXPECT_NE(std::string(error.what()).find("pair: cannot read test/0/1-0 from the store"),
              std::string::npos)
        << error.what();
  }
}

/// Ranks of a run whose numbers were set by hand.
LaunchInfo rank_at(uint16_t port, int rank, int size) {
  LaunchInfo info;
  info.launcher = Launcher::kTorchrun;
  info.described = fmt::format("torchrun (WORLD_SIZE={})", size);
  info.rank = rank;
  info.size = size;
  info.store_host = "localhost";
  info.store_port = port;
  return info;
}

std::string complaint_of(const LaunchInfo& launch) {
  try {
    (void)make_store_world(launch, std::chrono::seconds(60));
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "none";
}

/// Two ranks at the port, which sum up after `intruders` have come and gone.
void run_two(uint16_t port, const std::function<void()>& intruders) {
  run_ranks(2, [&](Communicator& threads) {
    const auto world = make_store_world(rank_at(port, threads.rank(), 2), std::chrono::seconds(60));
    threads.barrier();
    if (threads.rank() == 0) intruders();
    threads.barrier();
    at::Tensor sum = at::full({4}, threads.rank() + 1.0);
    world->all_reduce(sum, ReduceOp::kSum)->wait();
    EXPECT_EQ(sum[3].item<float>(), 3.0F);
  });
}

TEST(StoreRanks, another_run_at_the_same_port_is_refused_and_disturbs_nobody) {
  const uint16_t port = free_port();
  run_two(port, [port] {
    const std::string twice = complaint_of(rank_at(port, 1, 2));
    EXPECT_NE(twice.find("MASTER_PORT: expected a store for this run alone at localhost:"),
              std::string::npos)
        << twice;
    EXPECT_NE(twice.find("found a second rank 1"), std::string::npos) << twice;
    const std::string larger = complaint_of(rank_at(port, 2, 4));
    EXPECT_NE(larger.find("found that of torchrun (WORLD_SIZE=2)"), std::string::npos) << larger;
    EXPECT_NE(complaint_of(rank_at(port, 0, 4)).find("is free, found"), std::string::npos);
  });
}

// torchrun's agents may let jobs of different ids meet at one store, which one of them serves.
TEST(StoreRanks, jobs_of_an_agent_share_its_store_and_no_keys) {
  c10d::TCPStoreOptions options;
  options.isServer = true;
  options.port = 0;
  options.waitWorkers = false;
  const auto agent = c10::make_intrusive<c10d::TCPStore>("localhost", options);
  run_ranks(4, [&](Communicator& threads) {
    const int job = threads.rank() / 2;
    LaunchInfo launch = rank_at(agent->getPort(), threads.rank() % 2, 2);
    launch.agent_serves_store = true;
    launch.agent_id = job == 0 ? "first" : "second";
    const auto world = make_store_world(launch, std::chrono::seconds(10));
    for (int round = 0; round < 50; ++round) {
      threads.barrier();
      at::Tensor sum = at::full({4}, threads.rank() + 1.0);
      world->all_reduce(sum, ReduceOp::kSum)->wait();
      ASSERT_EQ(sum[0].item<float>(), job == 0 ? 3.0F : 7.0F) << round;
    }
  });
}

}  // namespace
}  // namespace phalanx
