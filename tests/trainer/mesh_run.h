#pragma once
// A short training run on any mesh, over made-up rows: batch loader, replica and train step as the
// trainer joins them. Collective over the given world, every rank; results are equal on all ranks.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "data/mixture/batch_loader.h"
#include "tests/support/test_model.h"
#include "trainer/train_step.h"

namespace phalanx {

/// Token p of window w: a pure function of (seed, w, p). The last window ends early.
class RandomRows : public RowSource {
 public:
  RandomRows(int64_t num_rows, int64_t length, int64_t vocab_size, uint64_t seed)
      : num_rows_(num_rows), length_(length), vocab_size_(vocab_size), seed_(seed) {}
  int64_t num_rows() const override { return num_rows_; }
  void read(int64_t window, Row& row) const override {
    const at::Tensor ids =
        test_ids(1, length_ + 1, vocab_size_, seed_ * 1000 + static_cast<uint64_t>(window));
    const int64_t* id = ids.const_data_ptr<int64_t>();
    row.tokens.assign(id, id + ids.numel());
    row.num_valid_targets = window + 1 == num_rows_ ? length_ - 3 : length_;
    row.document_starts = {window % length_};
  }

 private:
  int64_t num_rows_, length_, vocab_size_;
  uint64_t seed_;
};

struct MeshRunOptions {
  Phi4Config shape = test_shape();
  int tensor_parallel_size = 1;
  bool sequence_parallel = true;
  bool document_mask = false;
  Recompute recompute = Recompute::kNone;
  int64_t num_steps = 20;
  int64_t micro_batch_size = 1;
  Precision precision = Precision::kFp32;
  Precision gradients = Precision::kFp32;
  OptimizerConfig optimizer = {};
  int64_t overlap_chunks = 1;
  Reproducible reproducible = Reproducible::kOff;
  int64_t leaf_group_size = 1;
  int64_t rows_per_step = 4;
};

struct MeshRunResult {
  std::vector<double> losses, grad_norms;
  std::vector<at::Tensor> weights;  // of this rank's tensor part, after the last step, by parameter
};

inline constexpr int64_t kRunLength = 7;  // tokens of a row: divide by no axis

/// Two sources.
inline BatchLoader make_run_loader(const MeshRunOptions& options, const Mesh& mesh) {
  DataConfig data;
  data.seed = 5;
  data.document_mask = options.document_mask;
  StageRows stage;
  stage.name = "pretrain";
  stage.sequence_length = kRunLength;
  stage.global_batch_size = options.rows_per_step;
  PhaseConfig phase;
  phase.name = "mixed";
  phase.tokens = options.num_steps * options.rows_per_step * kRunLength;
  phase.mix = {{"books", 0.6}, {"web", 0.4}};
  stage.phases = {phase};
  std::vector<SourceInfo> infos;
  StageSources sources(1);
  for (const auto& [name, rows] : {std::pair<const char*, int64_t>{"books", 20}, {"web", 30}}) {
    data.sources.push_back({name, "", SourceKind::kOrganic, 100.0});
    infos.push_back({name, std::string("rows of ") + name, {rows}});
    sources[0].push_back(std::make_shared<RandomRows>(rows, kRunLength, options.shape.vocab_size,
                                                      static_cast<uint64_t>(rows)));
  }
  return BatchLoader(begin_run(resolve_curriculum(data, {stage}), infos), sources, mesh.dp_rank,
                     mesh.dp_size);
}

inline MeshRunResult run_on_mesh(Communicator& world, const MeshRunOptions& options) {
  const TestMesh mesh(world, options.tensor_parallel_size);
  RunConfig config = test_run_config(options.shape, options.tensor_parallel_size,
                                     options.sequence_parallel, options.precision);
  config.recompute = options.recompute;
  config.gradients = options.gradients;
  config.optimizer = options.optimizer;
  config.parallel.overlap_chunks = options.overlap_chunks;
  config.reproducible = options.reproducible;
  config.leaf_group_size = options.leaf_group_size;
  Replica replica(config, mesh.context, {});
  TrainStep step(
      replica.model(), replica.parameters(), replica.grads(), replica.optimizer(), mesh.context,
      /*clip_grad_norm=*/1.0, /*num_sources=*/2, {options.document_mask, at::kCPU},
      /*cuda_graphs=*/false,
      options.reproducible == Reproducible::kDpInvariant ? Summation::kExact : Summation::kInOrder);
  const RopeTable rope(10000, options.shape.head_dim, kRunLength, at::kCPU);
  BatchLoader loader = make_run_loader(options, mesh.mesh);
  MeshRunResult result;
  while (!loader.done()) {
    const Batch batch = loader.next();
    const StepResult found =
        step.run(batch, {rope, options.micro_batch_size, /*learning_rate=*/1e-3, batch.step + 1});
    result.losses.push_back(found.loss);
    result.grad_norms.push_back(found.grad_norm);
  }
  for (const auto& parameter : replica.parameters().parameters()) {
    result.weights.push_back(parameter->ready().clone());
  }
  return result;
}

}  // namespace phalanx
