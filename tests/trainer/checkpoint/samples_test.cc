// Checkpoints as every released form of the format wrote them (tests/trainer/checkpoint/samples/)
// load for ever, at any mesh, bit for bit. Whoever changes what is written adds a sample of it:
// PHALANX_WRITE_SAMPLE=NAME checkpoint_samples_test makes samples/NAME with the writer of today.
// What older forms lack: before-saved-at the time of saving; before-positions also how positions
// are told apart, and what state.json has learnt since.
#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/trainer/checkpoint/toy_checkpoint.h"

namespace phalanx {
namespace {

const Path kSamples = Path(PHALANX_SOURCE_DIR) / "tests/trainer/checkpoint/samples";

std::vector<ToyTensor> sample_tensors() {
  return {{"token_embedding.weight", {11, 7}, ParamRole::kSharded, 0},
          {"layers.0.attention_norm.weight", {7}, ParamRole::kReplicated, 0},
          {"layers.0.attention.o.weight", {7, 6}, ParamRole::kSharded, 1},
          {"norm.weight", {7}, ParamRole::kReplicated, 0}};
}

/// Exact in bf16 too, and different for each kind and the elements of a tensor.
float sample_value(size_t kind, int64_t element) {
  return static_cast<float>(element + 1) * (kind == 0 ? 1.0F : kind == 1 ? -0.5F : 0.25F);
}

/// Calls visit(element, value it must have) for all but the padding.
template <typename Visit>
void visit_sample(RankModel& model, const Visit& visit) {
  for (const SharePiece& piece : share_pieces(model.parameters, model.shares)) {
    const ShardSpec& spec = piece.parameter->spec;
    const SliceLayout layout = slice_layout(spec.full_shape, spec.dim, spec.stored());
    for (size_t kind = 0; kind < kShareKinds.size(); ++kind) {
      const at::Tensor share = model.shares[piece.bucket].*kShareKinds[kind].tensor;
      visit_runs(layout, piece.stored, [&](const Run& run) {
        for (int64_t i = 0; i < run.numel; ++i) {
          visit(share[piece.offset + run.slice - piece.stored.begin + i],
                sample_value(kind, run.full + i));
        }
      });
    }
  }
}

int64_t wrong_in(const Path& sample, int world_size, int tp_size) {
  int64_t wrong = 0;
  for (int rank = 0; rank < world_size; ++rank) {
    const auto model = make_rank(make_mesh(rank, world_size, tp_size), sample_tensors());
    CheckpointReader reader(sample);
    load_checkpoint(reader, Phi4Config{}, model->parameters, model->shares);
    visit_sample(*model, [&](const at::Tensor& element, float value) {
      wrong += element.item<float>() != value;
    });
  }
  return wrong;
}

TEST(CheckpointSamples, EveryFormThatWasWrittenLoadsAtAnyMesh) {
  std::vector<std::string> names;
  for (const auto& item : std::filesystem::directory_iterator(kSamples)) {
    SCOPED_TRACE(item.path().filename());
    names.push_back(item.path().filename());
    CheckpointReader reader(item.path());
    EXPECT_NO_THROW(reader.verify());
    EXPECT_EQ(reader.manifest().step, 3);
    EXPECT_EQ(reader.manifest().tensor_parallel_size, 2);
    EXPECT_EQ(reader.config_yaml(), "name: sample\n");
    EXPECT_EQ(reader.manifest().saved_at.has_value(), !names.back().starts_with("before-"));
    for (const auto& [world, tp] : {std::pair{1, 1}, {2, 2}, {2, 1}, {6, 3}}) {
      EXPECT_EQ(wrong_in(item.path(), world, tp), 0) << world << " ranks, tp " << tp;
    }
  }
  EXPECT_GE(names.size(), 4U);
}

TEST(CheckpointSamples, WritesOneWhenAsked) {
  const char* name = std::getenv("PHALANX_WRITE_SAMPLE");
  if (name == nullptr) return;
  const bool bf16 = std::string(name).ends_with("bf16");
  const TemporaryFolder folder;
  run_ranks(2, [&](Communicator& world) {
    const Mesh mesh = make_mesh(world.rank(), 2, 2);
    const auto model = make_rank(mesh, sample_tensors());
    visit_sample(*model, [](const at::Tensor& element, float value) { element.fill_(value); });
    for (BucketShare& share : model->shares) {
      if (!bf16) continue;
      share.exp_avg = share.exp_avg.to(at::kBFloat16);
      share.exp_avg_sq = share.exp_avg_sq.to(at::kBFloat16);
    }
    const Phi4Config shape;
    save_checkpoint(
        keep_all(folder.path()),
        {model->parameters, model->shares, shape, 3, 96, "{\"step\": 3}", "name: sample\n"}, mesh,
        world);
  });
  std::filesystem::copy(checkpoint_path(folder.path(), 3), kSamples / name);
}

}  // namespace
}  // namespace phalanx
