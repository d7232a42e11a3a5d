// Moments and masters kept in bf16: the same bits on every mesh and across a resume, close to fp32,
// and moving where rounding to nearest would stand still. State that passes through buffers.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "tests/model/random_tensor.h"
#include "tests/support/ranks.h"
#include "tests/trainer/checkpoint/toy_checkpoint.h"
#include "tests/trainer/mesh_run.h"
#include "trainer/adamw.h"

namespace phalanx {
namespace {

constexpr int64_t kRows = 997, kColumns = 24;
constexpr double kRate = 0.01;

OptimizerConfig kept_in(Precision state, Precision master) {
  OptimizerConfig config;
  config.state = state;
  config.master = master;
  return config;
}
OptimizerConfig in_bf16() { return kept_in(Precision::kBf16, Precision::kBf16); }

/// One replica's AdamW over some columns of a matrix and a vector that is not cut.
struct Part {
  Part(Communicator& world, const OptimizerConfig& config, Range columns_in = {0, kColumns})
      : dp(world), columns(columns_in) {
    matrix = &set.declare("matrix", sharded({kRows, kColumns}, 1, columns), "layer", true);
    vector = &set.declare("vector", sharded({11}, 0, {0, 11}), "layer", false);
    set.allocate(at::kBFloat16, at::kCPU, dp.size());
    stored_view(*matrix, bucket().weights).copy_(cut(random_tensor({kRows, kColumns}, 1)));
    stored_view(*vector, bucket().weights).copy_(random_tensor({11}, 2));
    optimizer = std::make_unique<AdamW>(config, set, dp, /*seed=*/3);
    optimizer->load_masters_from_weights();
  }
  void update(int64_t first, int64_t last) {
    const BucketShare& share = optimizer->shares()[0];
    for (int64_t n = first; n <= last; ++n) {
      const auto seed = static_cast<uint64_t>(100 + n);
      const at::Tensor grads = at::zeros({bucket().padded_numel});
      stored_view(*matrix, grads).copy_(cut(random_tensor({kRows, kColumns}, seed)));
      stored_view(*vector, grads).copy_(random_tensor({11}, seed));
      optimizer->update({grads.narrow(0, share.begin, share.numel)}, kRate, 0.5, n);
      optimizer->gather_weights();
    }
  }
  /// Of the matrix and the vector, from all replicas.
  std::map<std::string, at::Tensor> tensors() {
    std::map<std::string, at::Tensor> result;
    const auto add = [&](const std::string& kind, const at::Tensor& flat) {
      result[kind + " matrix"] = stored_view(*matrix, flat).clone();
      result[kind + " vector"] = stored_view(*vector, flat).clone();
    };
    add("weight", bucket().weights);
    for (const ShareKind& kind : kShareKinds) {
      const at::Tensor& mine = optimizer->shares()[0].*kind.tensor;
      at::Tensor whole = at::empty({bucket().padded_numel}, mine.options());
      dp.all_gather(whole, mine.contiguous())->wait();
      add(kind.name, whole);
    }
    return result;
  }
  at::Tensor cut(const at::Tensor& whole) const {
    return whole.narrow(1, columns.begin, columns.size());
  }
  Bucket& bucket() { return set.buckets()[0]; }

  Communicator& dp;
  Range columns;
  ParameterSet set;
  Parameter *matrix, *vector;
  std::unique_ptr<AdamW> optimizer;
};

using Tensors = std::map<std::string, at::Tensor>;

/// After `updates` updates; `part` is what the first replica holds.
Tensors trained(int replicas, const OptimizerConfig& config, int64_t updates,
                Range columns = {0, kColumns}) {
  Tensors result;
  run_ranks(replicas, [&](Communicator& world) {
    Part part(world, config, columns);
    part.update(1, updates);
    const Tensors mine = part.tensors();
    if (world.rank() == replicas - 1) result = mine;
  });
  return result;
}

void expect_equal(const Tensors& found, const Tensors& expected, const std::string& what) {
  ASSERT_EQ(found.size(), expected.size()) << what;
  for (const auto& [name, value] : expected) {
    EXPECT_EQ(found.at(name).scalar_type(), value.scalar_type()) << name;
    EXPECT_TRUE(at::equal(found.at(name), value)) << name << ", " << what;
  }
}

TEST(Bf16State, SharesOfAnyNumberOfReplicasMakeTheSameBits) {
  for (const OptimizerConfig& config : {in_bf16(), kept_in(Precision::kBf16, Precision::kFp32),
                                        kept_in(Precision::kFp32, Precision::kBf16)}) {
    const Tensors expected = trained(1, config, 4);
    for (const int replicas : {2, 3, 4}) {
      expect_equal(trained(replicas, config, 4), expected, std::to_string(replicas));
    }
  }
}

TEST(Bf16State, PartsOfACutTensorGetTheBitsOfTheWhole) {
  const Tensors whole = trained(1, in_bf16(), 4);
  for (const Range columns : {Range{0, 9}, Range{9, kColumns}}) {
    for (const int replicas : {1, 2}) {
      Tensors expected = whole;
      for (const char* kind : {"weight", "master", "exp_avg", "exp_avg_sq"}) {
        at::Tensor& matrix = expected.at(std::string(kind) + " matrix");
        matrix = matrix.narrow(1, columns.begin, columns.size());
      }
      expect_equal(trained(replicas, in_bf16(), 4, columns), expected,
                   std::to_string(columns.begin));
    }
  }
}

CheckpointContents contents_of(Part& part, const Phi4Config& shape) {
  return {part.set, part.optimizer->shares(), shape, 3, 3000, "{}", "name: part\n"};
}

/// Saves after three updates at two replicas.
Path saved(const Path& folder, const OptimizerConfig& config) {
  run_ranks(2, [&](Communicator& world) {
    Part part(world, config);
    part.update(1, 3);
    save_checkpoint(keep_all(folder), contents_of(part, {}), make_mesh(world.rank(), 2, 1), world);
  });
  return folder / "step-000003";
}

/// Loads what was saved and goes on.
Tensors resumed(const Path& path, int replicas, const OptimizerConfig& config, int64_t last) {
  Tensors result;
  run_ranks(replicas, [&](Communicator& world) {
    Part part(world, config);
    CheckpointReader reader(path);
    load_checkpoint(reader, {}, part.set, part.optimizer->shares());
    part.optimizer->write_weights();
    part.optimizer->gather_weights();
    part.update(4, last);
    const Tensors mine = part.tensors();
    if (world.rank() == 0) result = mine;
  });
  return result;
}

TEST(Bf16State, AResumeAtAnyNumberOfReplicasIsTheRunThatWasNotStopped) {
  const TemporaryFolder folder;
  const Path path = saved(folder.path(), in_bf16());
  CheckpointReader reader(path);
  for (const ShareKind& kind : kShareKinds) EXPECT_EQ(reader.stored_dtype(kind), Dtype::kBF16);
  for (const int replicas : {1, 2, 4}) {
    expect_equal(resumed(path, replicas, in_bf16(), 6), trained(1, in_bf16(), 6),
                 std::to_string(replicas));
  }
}

TEST(Bf16State, ARunInFp32TakesBf16AsItIs) {
  const TemporaryFolder folder;
  const Path path = saved(folder.path(), in_bf16());
  const Tensors before = trained(1, in_bf16(), 3);
  const Tensors loaded = resumed(path, 2, OptimizerConfig{}, 3);
  for (const ShareKind& kind : kShareKinds) {
    const std::string name = std::string(kind.name) + " matrix";
    EXPECT_EQ(loaded.at(name).scalar_type(), at::kFloat);
    EXPECT_TRUE(at::equal(loaded.at(name), before.at(name).to(at::kFloat))) << name;
  }
}

TEST(Bf16State, ARunInBf16TakesTheNearestToFp32) {
  const TemporaryFolder folder;
  const Path path = saved(folder.path(), OptimizerConfig{});
  CheckpointReader reader(path);
  EXPECT_EQ(reader.stored_dtype(kShareKinds[0]), Dtype::kF32);
  const Tensors before = trained(1, OptimizerConfig{}, 3);
  const Tensors loaded = resumed(path, 2, in_bf16(), 3);
  for (const ShareKind& kind : kShareKinds) {
    const std::string name = std::string(kind.name) + " matrix";
    EXPECT_FALSE(at::equal(before.at(name).to(at::kBFloat16).to(at::kFloat), before.at(name)));
    EXPECT_TRUE(at::equal(loaded.at(name), before.at(name).to(at::kBFloat16))) << name;
  }
}

/// AdamW over weights of 1, before the first update.
struct Ones {
  Ones(Communicator& world, OptimizerConfig config) {
    config.weight_decay = 0;
    config.beta2 = 0.999;
    set.declare("ones", sharded({64, 64}, 0, {0, 64}), "layer", true);
    set.allocate(at::kBFloat16, at::kCPU, 1);
    set.buckets()[0].weights.fill_(1);
    optimizer = std::make_unique<AdamW>(config, set, world);
    optimizer->load_masters_from_weights();
  }
  void update(double gradient, int64_t n) {
    optimizer->update({at::full({64 * 64}, gradient)}, /*learning_rate=*/1e-4, 1.0, n);
  }
  BucketShare& share() { return optimizer->shares()[0]; }
  double mean_weight() { return set.buckets()[0].weights.to(at::kDouble).mean().item<double>(); }
  ParameterSet set;
  std::unique_ptr<AdamW> optimizer;
};

TEST(Bf16State, WeightsMoveWhereRoundingToNearestStalls) {
  run_ranks(1, [](Communicator& world) {
    Ones ours(world, in_bf16()), nearest(world, OptimizerConfig{});
    for (int64_t n = 1; n <= 100; ++n) {
      ours.update(1, n);  // of a constant gradient: minus the learning rate
      nearest.update(1, n);
      nearest.optimizer->load_masters_from_weights();  // masters rounded to nearest
    }
    EXPECT_EQ(nearest.mean_weight(), 1.0);
    // An element's deviation is 0.006 (steps of 2^-8, each with probability 0.026), over 4,096.
    EXPECT_NEAR(ours.mean_weight(), 0.99, 5e-4);
  });
}

TEST(Bf16State, TheMeanSquareDecaysWhereRoundingToNearestStalls) {
  run_ranks(1, [](Communicator& world) {
    Ones ours(world, in_bf16()), nearest(world, OptimizerConfig{});
    ours.share().exp_avg_sq.fill_(1);
    nearest.share().exp_avg_sq.fill_(1);
    for (int64_t n = 1; n <= 500; ++n) {
      ours.update(0, n);
      nearest.update(0, n);
      at::Tensor& v = nearest.share().exp_avg_sq;
      v.copy_(v.to(at::kBFloat16));
    }
    const auto mean = [](const at::Tensor& v) { return v.to(at::kDouble).mean().item<double>(); };
    EXPECT_EQ(mean(nearest.share().exp_avg_sq), 1.0);
    EXPECT_NEAR(mean(ours.share().exp_avg_sq), 0.606, 0.005);  // 0.999^500
  });
}

MeshRunResult run(int replicas, const MeshRunOptions& options) {
  MeshRunResult result;
  run_ranks(replicas, [&](Communicator& world) {
    const MeshRunResult mine = run_on_mesh(world, options);
    if (world.rank() == 0) result = mine;
  });
  return result;
}

/// 20 steps, the loss falls from 4.62 to 4.35. The bounds are six times what was found.
void expect_losses_near_fp32(const MeshRunOptions& options, double bound) {
  MeshRunOptions plain;
  plain.precision = options.precision;
  const MeshRunResult expected = run(1, plain);
  for (const int replicas : {1, 2}) {
    const MeshRunResult found = run(replicas, options);
    ASSERT_EQ(found.losses.size(), 20U);
    bool differs = false;
    for (size_t i = 0; i < found.losses.size(); ++i) {
      EXPECT_NEAR(found.losses[i] / expected.losses[i], 1, bound) << i << ", " << replicas;
      differs = differs || found.losses[i] != expected.losses[i];
    }
    EXPECT_TRUE(differs);
  }
}

TEST(Bf16State, LossesAreNearThoseOfFp32) {
  MeshRunOptions options;
  options.optimizer = kept_in(Precision::kBf16, Precision::kFp32);
  expect_losses_near_fp32(options, 1e-4);
  options = {};
  options.gradients = Precision::kBf16;
  expect_losses_near_fp32(options, 5e-4);
  options.precision = Precision::kBf16;
  options.optimizer = in_bf16();
  expect_losses_near_fp32(options, 2e-3);
}

std::vector<AdamWRun> random_runs(at::ScalarType state, bool own_master) {
  std::vector<AdamWRun> runs;
  for (const int64_t numel : {1, 100, 101, 350}) {
    const auto seed = static_cast<uint64_t>(numel);
    const at::Tensor weight = random_tensor({numel}, seed).to(at::kBFloat16);
    runs.push_back({random_tensor({numel}, seed + 1), own_master ? weight.to(at::kFloat) : weight,
                    random_tensor({numel}, seed + 2).to(state),
                    random_tensor({numel}, seed + 3).square().to(state), weight,
                    LogicalPlaces{5, 40, 3, 7}, seed});
  }
  return runs;
}

TEST(StateStream, PiecesCoverEachRunInOrder) {
  const std::vector<AdamWRun> runs = random_runs(at::kFloat, true);
  std::vector<int64_t> covered(runs.size());
  size_t last_run = 0;
  for (const StreamPiece& piece : stream_pieces(runs, 100)) {
    EXPECT_GE(piece.run, last_run);
    last_run = piece.run;
    EXPECT_EQ(piece.begin, covered[piece.run]);
    EXPECT_GT(piece.numel, 0);
    EXPECT_LE(piece.numel, 100);
    covered[piece.run] += piece.numel;
  }
  EXPECT_EQ(covered, (std::vector<int64_t>{1, 100, 101, 350}));
  EXPECT_EQ(stream_pieces(runs, 100).size(), 1U + 1 + 2 + 4);
}

TEST(StateStream, APassInPiecesIsTheUpdateOfWholeRuns) {
  const AdamWCoefficients c{0.5F, 0.9F, 0.95F, 0.1F, 0.05F, 0.99F, 0.01F, 2.0F, 1e-8F};
  for (const at::ScalarType state : {at::kFloat, at::kBFloat16}) {
    for (const bool own_master : {true, false}) {
      const std::vector<AdamWRun> expected = random_runs(state, own_master);
      const std::vector<AdamWRun> found = random_runs(state, own_master);
      StateStream stream(at::kCPU, /*piece_elements=*/100);
      for (int step = 0; step < 2; ++step) {
        for (const AdamWRun& run : expected) adamw_update(run, c);
        stream.pass(found, [&](size_t, const AdamWRun& piece) { adamw_update(piece, c); });
      }
      for (size_t i = 0; i < found.size(); ++i) {
        for (at::Tensor AdamWRun::*t : {&AdamWRun::grad, &AdamWRun::master, &AdamWRun::exp_avg,
                                        &AdamWRun::exp_avg_sq, &AdamWRun::weight}) {
          EXPECT_TRUE(at::equal(found[i].*t, expected[i].*t)) << i;
        }
      }
    }
  }
}

TEST(StateStream, AnOffloadedOptimizerMakesTheSameBits) {
  for (OptimizerConfig config : {OptimizerConfig{}, in_bf16()}) {
    const Tensors expected = trained(2, config, 4);
    config.offload = Offload::kHost;
    expect_equal(trained(2, config, 4), expected, "offloaded");
  }
}

}  // namespace
}  // namespace phalanx
