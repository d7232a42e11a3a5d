#include "parallel/store_communicator.h"

#include <gtest/gtest.h>

#include <torch/csrc/distributed/c10d/HashStore.hpp>

#include "tests/parallel/communicator_suite.h"
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

}  // namespace
}  // namespace phalanx
