#include "parallel/mesh.h"

#include <fmt/format.h>

#include <stdexcept>

namespace phalanx {

Mesh make_mesh(int rank, int world_size, int tensor_parallel_size) {
  if (rank < 0 || rank >= world_size) {
    throw std::invalid_argument(
        fmt::format("rank: expected 0 to {}, found {}", world_size - 1, rank));
  }
  if (tensor_parallel_size < 1 || world_size % tensor_parallel_size != 0) {
    throw std::invalid_argument(fmt::format(
        "parallel.tensor_parallel_size: expected a divisor of the number of ranks, {}, found {}",
        world_size, tensor_parallel_size));
  }
  Mesh mesh;
  mesh.tp_size = tensor_parallel_size;
  mesh.dp_size = world_size / tensor_parallel_size;
  mesh.tp_rank = rank % tensor_parallel_size;
  mesh.dp_rank = rank / tensor_parallel_size;
  return mesh;
}

}  // namespace phalanx
