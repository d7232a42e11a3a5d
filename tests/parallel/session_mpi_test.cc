// Run by mpirun with 4 ranks: the session and the groups of a 2 x 2 mesh.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "parallel/session.h"

namespace phalanx {
namespace {

Session* session = nullptr;  // set by main; MPI can be started once a process

TEST(SessionUnderMpirun, every_rank_finds_its_place) {
  EXPECT_EQ(session->size(), 4);
  EXPECT_EQ(session->local_size(), 4);
  EXPECT_EQ(session->local_rank(), session->rank());
  EXPECT_EQ(session->launch().launcher, Launcher::kMpi);
}

TEST(SessionUnderMpirun, mesh_groups_add_up_over_their_axis_only) {
  const Mesh mesh = make_mesh(session->rank(), 4, 2);
  const MeshGroups groups = session->make_groups(mesh);
  const auto sum_over = [&](Communicator& group) {
    const at::Tensor sum_1 = at::full({1}, 1 << session->rank(), at::kInt);
    group.all_reduce(sum_1, ReduceOp::kSum)->wait();
    return sum_1.item<int>();
  };
  EXPECT_EQ(sum_over(*groups.world), 0b1111);
  EXPECT_EQ(sum_over(*groups.tp), mesh.dp_rank == 0 ? 0b0011 : 0b1100);
  EXPECT_EQ(sum_over(*groups.dp), mesh.tp_rank == 0 ? 0b0101 : 0b1010);
  EXPECT_EQ(groups.tp->rank(), mesh.tp_rank);
  EXPECT_EQ(groups.dp->rank(), mesh.dp_rank);
}

int run_all(int argc, char** argv) {
  Session owned(
      [](const std::string& name) -> std::optional<std::string> {
        const char* value = std::getenv(name.c_str());
        if (value == nullptr) return std::nullopt;
        return std::string(value);
      },
      {});
  session = &owned;
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}

}  // namespace
}  // namespace phalanx

int main(int argc, char** argv) { return phalanx::run_all(argc, argv); }
