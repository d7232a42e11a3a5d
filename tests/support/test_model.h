#pragma once
// A small model on one rank of a mesh, with random token batches: what model and trainer tests
// share. Collective like the parts it is made of.
#include <ATen/ATen.h>

#include <memory>

#include "data/mixture/batch.h"
#include "parallel/mesh.h"
#include "trainer/replica.h"

namespace phalanx {

inline Phi4Config test_shape(int64_t num_heads = 8, int64_t num_kv_heads = 2) {
  Phi4Config shape;
  shape.vocab_size = 103;  // divides by nothing
  shape.head_dim = 8;
  shape.num_attention_heads = num_heads;
  shape.num_key_value_heads = num_kv_heads;
  shape.hidden_size = 48;
  shape.intermediate_size = 71;
  shape.num_hidden_layers = 2;
  return shape;
}

inline RunConfig test_run_config(const Phi4Config& shape, int64_t tensor_parallel_size,
                                 bool sequence_parallel, Precision precision = Precision::kFp32) {
  RunConfig config;
  config.name = "test";
  config.model.shape = shape;
  config.parallel.tensor_parallel_size = tensor_parallel_size;
  config.parallel.sequence_parallel = sequence_parallel;
  config.precision = precision;
  config.loss_chunk_tokens = 16;
  return config;
}

/// The tp and dp groups of this rank and the context over them.
struct TestMesh {
  /// `fields` carries tensors on `device`, as `world` does those on the host; null: world does
  /// both.
  TestMesh(Communicator& world, int tensor_parallel_size, Communicator* fields = nullptr,
           at::Device device = at::kCPU)
      : mesh(make_mesh(world.rank(), world.size(), tensor_parallel_size)),
        tp((fields ? *fields : world).split(mesh.dp_rank, mesh.tp_rank, "tp")),
        dp((fields ? *fields : world).split(mesh.tp_rank, mesh.dp_rank, "dp")),
        context{mesh, world, *tp, *dp, device} {}
  Mesh mesh;
  std::unique_ptr<Communicator> tp, dp;
  RunContext context;
};

/// Ids in [0, vocabulary), a pure function of `seed`.
inline at::Tensor test_ids(int64_t rows, int64_t columns, int64_t vocab_size, uint64_t seed) {
  at::Tensor ids = at::empty({rows, columns}, at::kLong);
  int64_t* id = ids.mutable_data_ptr<int64_t>();
  uint64_t state = seed * 0x9e3779b97f4a7c15ull + 1;
  for (int64_t i = 0; i < ids.numel(); ++i) {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    id[i] = static_cast<int64_t>((state >> 33) % static_cast<uint64_t>(vocab_size));
  }
  return ids;
}

/// Rows of one source, all of whose targets count: the tokens of test_tokens().
inline Batch test_batch(int64_t rows, int64_t length, int64_t vocab_size, uint64_t seed) {
  const at::Tensor ids = test_ids(rows, length + 1, vocab_size, seed);
  Batch batch = make_batch(rows, length);
  batch.tokens_RT.copy_(ids.narrow(1, 0, length));
  batch.targets_RT.copy_(ids.narrow(1, 1, length));
  batch.loss_mask_RT.fill_(true);
  batch.source_R.assign(static_cast<size_t>(rows), 0);
  batch.num_valid_targets = rows * length;
  return batch;
}

inline TokenBatch test_tokens(int64_t rows, int64_t length, int64_t vocab_size, uint64_t seed,
                              const RopeTable& rope) {
  const at::Tensor ids = test_ids(rows, length + 1, vocab_size, seed);
  return {ids.narrow(1, 0, length).contiguous(),
          ids.narrow(1, 1, length).contiguous(),
          at::ones({rows, length}, at::kBool),
          at::arange(length, at::kLong).repeat({rows, 1}),
          {},
          &rope};
}

}  // namespace phalanx
