// Products and collectives that run side by side: pieces give the bits of the whole, a piece's
// collective starts before the next product, and nothing is read before it has been waited for.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "parallel/gemm.h"
#include "parallel/tp_linear.h"
#include "parallel/tp_overlap.h"
#include "parallel/vocab_parallel.h"
#include "tests/model/random_tensor.h"
#include "tests/support/ranks.h"
#include "tests/support/recording_communicator.h"

namespace phalanx {
namespace {

/// This rank's tokens of a whole tensor, padded as the layers pad.
at::Tensor tokens_of(const at::Tensor& x_ND, const TensorParallel& tp) {
  if (!tp.sequence_parallel()) return x_ND;
  const int64_t size = tp.group().size(), n = (x_ND.size(0) + size - 1) / size;
  return at::constant_pad_nd(x_ND, {0, 0, 0, n * size - x_ND.size(0)})
      .narrow(0, n * tp.group().rank(), n);
}

TEST(TpOverlap, PiecesGiveTheBitsOfTheWhole) {
  const at::Tensor w = random_tensor({17, 24}, 1);
  const auto product = [&](const at::Tensor& x) { return linear_forward(x, w); };
  for (const int size : {2, 3, 4}) {
    for (const bool sequence_parallel : {false, true}) {
      for (const int64_t num_tokens : {1, 5, 13, 64}) {
        run_ranks(size, [&](Communicator& world) {
          const TensorParallel whole(world, sequence_parallel, 1);
          const at::Tensor x = random_tensor({num_tokens, 24}, 2 + world.rank());
          const at::Tensor all = random_tensor({num_tokens, 24}, 9);
          const at::Tensor reduced = reduce_behind(whole, x, product);
          const GatheredProduct gathered =
              gather_behind(whole, tokens_of(all, whole), num_tokens, product, Gathered::kKeep);
          for (const int64_t chunks : {2, 3, 100}) {
            const TensorParallel cut(world, sequence_parallel, chunks);
            EXPECT_TRUE(at::equal(reduce_behind(cut, x, product), reduced))
                << size << " ranks, " << num_tokens << " tokens, " << chunks << " chunks";
            const GatheredProduct found =
                gather_behind(cut, tokens_of(all, cut), num_tokens, product, Gathered::kKeep);
            EXPECT_TRUE(at::equal(found.product_N, gathered.product_N));
            EXPECT_TRUE(at::equal(found.gathered_N, all));
          }
        });
      }
    }
  }
}

TEST(TpOverlap, ACollectiveStartsBeforeTheNextProductAndIsWaitedForAfterIt) {
  run_ranks(2, [](Communicator& world) {
    CallLog log;
    RecordingCommunicator recorded(world, log);
    const TensorParallel tp(recorded, true, 2);
    const auto product = [&](const at::Tensor& x) {
      log.push_back("product");
      return x.clone();
    };
    (void)reduce_behind(tp, at::ones({8, 4}), product);
    EXPECT_EQ(log, (CallLog{"product", "reduce_scatter", "product", "reduce_scatter",
                            "wait reduce_scatter", "wait reduce_scatter"}));
    log.clear();
    (void)gather_behind(tp, at::ones({4, 4}), 8, product);
    EXPECT_EQ(log, (CallLog{"all_gather", "all_gather", "wait all_gather", "product",
                            "wait all_gather", "product"}));
  });
}

TEST(TpOverlap, TheReductionOfAColumnParallelGradientRunsBehindThatOfTheWeights) {
  run_ranks(2, [](Communicator& world) {
    CallLog log;
    RecordingCommunicator recorded(world, log);
    const std::unique_ptr<Communicator> alone = world.split(world.rank(), 0, "dp");
    const TensorParallel tp(recorded, true);
    ParameterSet set;
    const ColumnParallelLinear layer(set, tp, "layer", 6, {{"a", 10, tp.part_of(10), false}});
    set.allocate(at::kFloat, at::kCPU, 1);
    GradBuckets grads(set, *alone, world);
    grads.begin_step(1);
    (void)layer.backward(at::ones({4, 5}), at::ones({2, 6}), grads);
    EXPECT_EQ(log,
              (CallLog{"all_gather", "reduce_scatter", "wait all_gather", "wait reduce_scatter"}));
  });
}

/// Brings a bucket's weights when it is waited for, not before.
class LateWeights final : public Work {
 public:
  LateWeights(Bucket& bucket, at::Tensor values, int& waits)
      : bucket_(bucket), values_(std::move(values)), waits_(waits) {}
  void wait() override {
    ++waits_;
    bucket_.weights.copy_(values_);
  }

 private:
  Bucket& bucket_;
  at::Tensor values_;
  int& waits_;
};

TEST(WeightGather, EveryLayerWaitsForItsBucketOnceBeforeItReadsAWeight) {
  run_ranks(1, [](Communicator& world) {
    const TensorParallel tp(world, false);
    ParameterSet set;
    const ColumnParallelLinear up(set, tp, "up", 6, {{"up", 8, {0, 8}, false}});
    const RowParallelLinear down(set, tp, "down", "down", 6, 8, {0, 8});
    VocabParallelEmbedding embedding(set, tp, "embedding", 11, 6);
    const VocabParallelHead head(set, tp, "head", 11, 6, 4);
    set.allocate(at::kFloat, at::kCPU, 1);
    const at::Tensor x = random_tensor({5, 6}, 1), wide = random_tensor({5, 8}, 2);
    const at::Tensor ids = at::arange(5, at::kLong);
    int waits = 0;
    const auto run = [&] {
      for (Bucket& bucket : set.buckets()) {
        const at::Tensor values = random_tensor({bucket.padded_numel}, 7 + waits % 4);
        bucket.weights.fill_(NAN);
        bucket.gather = std::make_unique<LateWeights>(bucket, values, waits);
      }
      for (int use = 0; use < 2; ++use) {
        for (const at::Tensor& y : {up.forward(x, 5), down.forward(wide), embedding.forward(ids),
                                    head.logits(x, 5, 11)}) {
          EXPECT_TRUE(at::isfinite(y).all().item<bool>());
        }
      }
    };
    run();
    EXPECT_EQ(waits, 4);
    run();
    EXPECT_EQ(waits, 8);
  });
}

}  // namespace
}  // namespace phalanx
