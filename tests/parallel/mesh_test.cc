#include "parallel/mesh.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

namespace phalanx {
namespace {

TEST(Mesh, tensor_ranks_are_neighbours_and_data_ranks_are_a_stride_apart) {
  const Mesh mesh = make_mesh(/*rank=*/5, /*world_size=*/8, /*tensor_parallel_size=*/4);
  EXPECT_EQ(mesh.tp_size, 4);
  EXPECT_EQ(mesh.dp_size, 2);
  EXPECT_EQ(mesh.tp_rank, 1);
  EXPECT_EQ(mesh.dp_rank, 1);
  EXPECT_EQ(mesh.rank_of(0, 3), 3);
  EXPECT_EQ(mesh.rank_of(1, 0), 4);
}

TEST(Mesh, coordinates_and_rank_are_inverse_for_every_split) {
  for (const int tp : {1, 2, 3, 6}) {
    for (int rank = 0; rank < 6; ++rank) {
      const Mesh mesh = make_mesh(rank, 6, tp);
      EXPECT_EQ(mesh.rank(), rank);
      EXPECT_EQ(mesh.world_size(), 6);
      EXPECT_LT(mesh.tp_rank, mesh.tp_size);
      EXPECT_LT(mesh.dp_rank, mesh.dp_size);
    }
  }
}

TEST(Mesh, a_size_that_does_not_divide_the_world_is_bad_input) {
  for (const int tp : {0, -1, 4, 12}) {
    try {
      make_mesh(0, 6, tp);
      ADD_FAILURE() << tp << " was taken";
    } catch (const std::invalid_argument& error) {
      EXPECT_EQ(
          std::string(error.what()),
          "parallel.tensor_parallel_size: expected a divisor of the number of ranks, 6, found " +
              std::to_string(tp));
    }
  }
  EXPECT_THROW(make_mesh(6, 6, 2), std::invalid_argument);
}

}  // namespace
}  // namespace phalanx
