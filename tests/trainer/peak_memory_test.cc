// Bytes that tensors hold at most while a gradient is made, counted by an allocator that stands in
// for LibTorch's: full logits (tokens x vocabulary) never exist.
#include <gtest/gtest.h>

#include "model/activation_bytes.h"
#include "tests/support/counting_allocator.h"
#include "tests/support/ranks.h"
#include "tests/support/test_model.h"
#include "trainer/grad_norm.h"

namespace phalanx {
namespace {

constexpr int64_t kRows = 32, kLength = 64;  // 2,048 tokens

/// Bytes that loss() with gradients needs at most beyond weights and gradients.
int64_t peak_growth(const Phi4Config& shape, int64_t chunk_tokens, Recompute recompute) {
  Counting counting;
  int64_t growth = 0;
  run_ranks(1, [&](Communicator& world) {
    const TestMesh mesh(world, 1);
    RunConfig config = test_run_config(shape, 1, true);
    config.loss_chunk_tokens = chunk_tokens;
    config.recompute = recompute;
    Replica replica(config, mesh.context, {});
    const RopeTable rope(10000, shape.head_dim, kLength, at::kCPU);
    const TokenBatch batch = test_tokens(kRows, kLength, shape.vocab_size, 1, rope);
    replica.grads().begin_step(1);
    counting.allocator().restart();
    const int64_t before = counting.allocator().live();
    (void)replica.model().loss(batch, &replica.grads());
    growth = counting.allocator().peak() - before;
  });
  EXPECT_EQ(counting.allocator().live(), 0) << "a tensor outlives its allocator";
  return growth;
}

int64_t peak_growth(int64_t vocab_size, int64_t chunk_tokens) {
  Phi4Config shape = test_shape(2, 1);
  shape.vocab_size = vocab_size;
  shape.hidden_size = 8;
  shape.head_dim = 4;
  shape.intermediate_size = 8;
  shape.num_hidden_layers = 1;
  return peak_growth(shape, chunk_tokens, Recompute::kNone);
}

constexpr int64_t logits_bytes(int64_t tokens, int64_t vocab_size) {
  return tokens * vocab_size * static_cast<int64_t>(sizeof(float));
}

TEST(PeakMemory, TheAllocatorSeesAsMuchAsATensorHolds) {
  Counting counting;
  {
    const at::Tensor held = at::empty({1000, 50});
    const at::Tensor more = held + 1;
    EXPECT_GE(counting.allocator().live(), 400'000);
  }
  EXPECT_GE(counting.allocator().peak(), 400'000);
  EXPECT_EQ(counting.allocator().live(), 0);
}

TEST(PeakMemory, FullLogitsNeverExist) {
  for (const int64_t vocab_size : {8009, 16001}) {
    EXPECT_LT(peak_growth(vocab_size, 64), logits_bytes(kRows * kLength, vocab_size) / 8)
        << vocab_size;
  }
}

TEST(PeakMemory, ThePeakGrowsWithTheChunkByAFewOfItsLogits) {
  for (const int64_t vocab_size : {8009, 16001}) {
    const int64_t small = peak_growth(vocab_size, 64), large = peak_growth(vocab_size, 320);
    EXPECT_GE(large - small, logits_bytes(320 - 64, vocab_size)) << vocab_size;
    EXPECT_LE(large - small, 4 * logits_bytes(320 - 64, vocab_size)) << vocab_size;
  }
}

TEST(PeakMemory, ThePeakDoesNotGrowWithTheVocabularyTimesTheBatch) {
  const int64_t small = peak_growth(8009, 64), large = peak_growth(16001, 64);
  EXPECT_LE(large - small, 4 * logits_bytes(64, 16001 - 8009));
}

TEST(PeakMemory, ALayerMoreAddsWhatItsModeOfRecomputationKeeps) {
  for (const Recompute recompute : {Recompute::kNone, Recompute::kSelective, Recompute::kFull}) {
    Phi4Config shallow = test_shape(), deep = test_shape();
    shallow.num_hidden_layers = 2;
    deep.num_hidden_layers = 5;
    const int64_t a_layer =
        layer_activation_bytes(shallow, {recompute, /*bytes_per_value=*/4}, kRows * kLength);
    EXPECT_EQ(peak_growth(deep, 64, recompute) - peak_growth(shallow, 64, recompute), 3 * a_layer)
        << "mode " << int(recompute);
  }
}

struct KeptIn {
  Precision gradients, state, master;
  int64_t bytes;  // a parameter, with weights in bf16
};

/// A replica's bytes once it is made, and what norm and update need at most beside them.
void expect_bytes_of_a_parameter(const KeptIn& kept) {
  Counting counting;
  run_ranks(1, [&](Communicator& world) {
    const TestMesh mesh(world, 1);
    Phi4Config shape = test_shape();
    shape.vocab_size = 8009;  // a bucket far larger than what norms may copy
    RunConfig config = test_run_config(shape, 1, true, Precision::kBf16);
    config.gradients = kept.gradients;
    config.optimizer.state = kept.state;
    config.optimizer.master = kept.master;
    const int64_t before = counting.allocator().live();
    Replica replica(config, mesh.context, {});
    int64_t numel = 0;
    for (const Bucket& bucket : replica.parameters().buckets()) numel += bucket.padded_numel;
    EXPECT_EQ(counting.allocator().live() - before, kept.bytes * numel);
    counting.allocator().restart();
    std::vector<at::Tensor> shares;
    for (const Bucket& bucket : replica.parameters().buckets()) shares.push_back(bucket.grads);
    (void)block_squares(shares, replica.parameters().buckets(), true);
    replica.optimizer().update(shares, 1e-3, 1.0, 1);
    constexpr int64_t kCopied = 16 * kBucketAlignment * int64_t{sizeof(float)};
    EXPECT_LT(counting.allocator().peak() - before, kept.bytes * numel + 2 * kCopied);
  });
}

TEST(PeakMemory, AParameterTakesTheBytesThatItsTypesSay) {
  using enum Precision;
  expect_bytes_of_a_parameter({kFp32, kFp32, kFp32, 2 + 4 + 8 + 4});
  expect_bytes_of_a_parameter({kFp32, kBf16, kFp32, 2 + 4 + 4 + 4});
  expect_bytes_of_a_parameter({kFp32, kBf16, kBf16, 2 + 4 + 4 + 0});
  expect_bytes_of_a_parameter({kBf16, kBf16, kBf16, 2 + 2 + 4 + 0});
}

}  // namespace
}  // namespace phalanx
