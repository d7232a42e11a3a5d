#pragma once
// The mesh of ranks: tensor parallelism innermost, data parallelism outside, so that the ranks of a
// tensor group are neighbours and share a host. Pure arithmetic, local, no communicator.
//
//   rank = dp_rank * tp_size + tp_rank
//
// Errors: sizes that do not multiply to the world are std::invalid_argument.

namespace phalanx {

struct Mesh {
  int tp_size = 1;
  int dp_size = 1;
  int tp_rank = 0;
  int dp_rank = 0;

  int world_size() const { return tp_size * dp_size; }
  int rank() const { return rank_of(dp_rank, tp_rank); }
  int rank_of(int dp, int tp) const { return dp * tp_size + tp; }
};

/// The mesh seen from `rank` of `world_size` ranks; the data-parallel size follows from the two.
Mesh make_mesh(int rank, int world_size, int tensor_parallel_size);

}  // namespace phalanx
