#include "parallel/session.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <mpi.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <map>
#include <stdexcept>

#include "parallel/nccl_communicator.h"
#include "tests/support/free_port.h"
#include "tests/support/ranks.h"

namespace phalanx {
namespace {

EnvironmentLookup lookup(std::map<std::string, std::string> variables) {
  return [variables](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    if (found == variables.end()) return std::nullopt;
    return found->second;
  };
}

bool mpi_was_initialized() {
  int flag = 0;
  MPI_Initialized(&flag);
  return flag != 0;
}

TEST(Session, a_world_of_one_never_starts_mpi) {
  for (const auto& variables : {std::map<std::string, std::string>{},
                                {{"OMPI_COMM_WORLD_SIZE", "1"}, {"OMPI_COMM_WORLD_RANK", "0"}},
                                {{"WORLD_SIZE", "1"}, {"RANK", "0"}, {"LOCAL_RANK", "0"}}}) {
    Session session(lookup(variables), {});
    EXPECT_EQ(session.size(), 1);
    EXPECT_EQ(session.rank(), 0);
    EXPECT_EQ(session.local_size(), 1);
    const MeshGroups groups = session.make_groups(make_mesh(0, 1, 1));
    const at::Tensor one_1 = at::ones({1});
    groups.tp->all_reduce(one_1, ReduceOp::kSum)->wait();
    groups.dp->all_reduce(one_1, ReduceOp::kSum)->wait();
    session.control().barrier();
    EXPECT_EQ(one_1.item<float>(), 1.0f);
  }
  EXPECT_FALSE(mpi_was_initialized());
}

TEST(Session, cpu_ranks_under_torchrun_are_refused_with_a_way_out) {
  try {
    const Session session(lookup({{"WORLD_SIZE", "4"},
                                  {"RANK", "1"},
                                  {"MASTER_ADDR", "host0"},
                                  {"MASTER_PORT", "29500"}}),
                          {});
    FAIL() << "four CPU ranks without MPI were taken";
  } catch (const std::invalid_argument& error) {
    EXPECT_STREQ(error.what(),
                 "device: expected cuda, found cpu: 4 ranks on CPU need MPI to move their tensors; "
                 "start them with \"mpirun -n 4\" instead of torchrun");
  }
}

TEST(Session, torchrun_ranks_agree_through_the_store) {
  const std::string port = std::to_string(free_port());
  run_ranks(3, [&](Communicator& threads) {
    const std::string rank = std::to_string(threads.rank());
    Session session(lookup({{"WORLD_SIZE", "3"},
                            {"RANK", rank},
                            {"LOCAL_RANK", rank},
                            {"LOCAL_WORLD_SIZE", "3"},
                            {"MASTER_ADDR", "127.0.0.1"},
                            {"MASTER_PORT", port}}),
                    {Device::kCuda, std::chrono::seconds(60)});
    EXPECT_EQ(session.size(), 3);
    EXPECT_EQ(session.local_rank(), threads.rank());
    const std::vector<std::string> all = all_gather_strings(session.control(), "from " + rank);
    EXPECT_EQ(all, (std::vector<std::string>{"from 0", "from 1", "from 2"}));
  });
  EXPECT_FALSE(mpi_was_initialized());
}

TEST(Session, a_port_in_use_and_a_host_that_is_not_there_are_told_at_once) {
  const auto complaint = [](const std::string& rank, const std::string& host,
                            const std::string& port) -> std::string {
    try {
      const Session session(
          lookup(
              {{"WORLD_SIZE", "2"}, {"RANK", rank}, {"MASTER_ADDR", host}, {"MASTER_PORT", port}}),
          {Device::kCuda, std::chrono::seconds(60)});
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "none";
  };
  const int listener = socket(AF_INET6, SOCK_STREAM, 0);
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_addr = in6addr_any;
  socklen_t length = sizeof(address);
  ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), length), 0);
  ASSERT_EQ(listen(listener, 1), 0);
  ASSERT_EQ(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length), 0);
  const std::string port = std::to_string(ntohs(address.sin6_port));
  const std::string used = complaint("0", "127.0.0.1", port);
  EXPECT_EQ(used.find("MASTER_PORT: expected a port of "), 0u) << used;
  EXPECT_NE(used.find(port + " in use"), std::string::npos) << used;
  close(listener);
  const std::string nowhere = complaint("1", "no-such-host.invalid", port);
  EXPECT_EQ(nowhere.find("MASTER_ADDR: expected the host of rank 0, found no-such-host.invalid, "
                         "which cannot be reached from "),
            0u)
      << nowhere;
}

TEST(Session, ranks_have_a_gpu_each_unless_they_may_share) {
  EXPECT_EQ(gpu_of_rank(3, 4, false), 3);
  EXPECT_EQ(gpu_of_rank(3, 2, false), 3);  // refused later, where the ranks agree on messages
  EXPECT_EQ(gpu_of_rank(3, 2, true), 1);
  EXPECT_EQ(gpu_of_rank(3, 0, true), 3);
  EXPECT_EQ(gpu_of_rank(3, 1, false), 0);  // the launcher shows each rank its own
}

TEST(Session, ranks_of_a_gpu_are_those_that_were_given_it) {
  EXPECT_EQ(ranks_of_gpu(1, 4, 4, false), 1);
  EXPECT_EQ(ranks_of_gpu(1, 4, 1, false), 1);
  EXPECT_EQ(ranks_of_gpu(1, 4, 4, true), 1);
  EXPECT_EQ(ranks_of_gpu(0, 5, 2, true), 3);  // ranks 0, 2 and 4
  EXPECT_EQ(ranks_of_gpu(3, 5, 2, true), 2);  // ranks 1 and 3
  EXPECT_EQ(ranks_of_gpu(4, 5, 1, true), 5);
  EXPECT_EQ(ranks_of_gpu(3, 5, 0, true), 1);  // a build without GPUs
}

TEST(Session, a_build_without_gpus_says_so_when_asked_for_device_groups) {
  if (num_cuda_devices() > 0) GTEST_SKIP() << "this machine has GPUs";
  Session session(lookup({}), {Device::kCuda, std::chrono::seconds(60)});
  EXPECT_ANY_THROW(session.make_groups(make_mesh(0, 1, 1)));
}

// Last: it starts MPI for real, as a world of one.
TEST(Session, ranks_that_mpi_does_not_see_are_refused) {
  try {
    const Session session(lookup({{"OMPI_COMM_WORLD_SIZE", "4"}, {"OMPI_COMM_WORLD_RANK", "2"}}),
                          {});
    FAIL() << "four ranks were promised, MPI has one";
  } catch (const std::invalid_argument& error) {
    EXPECT_EQ(
        std::string(error.what())
            .find(
                "number of ranks: mpirun (OMPI_COMM_WORLD_SIZE=4) started 4 ranks, but MPI sees a "
                "world of 1"),
        0u)
        << error.what();
  }
}

}  // namespace
}  // namespace phalanx
