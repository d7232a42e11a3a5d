// What activation_bytes.h counts is what a block holds after its forward pass.
#include "model/activation_bytes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <vector>

#include "tests/support/ranks.h"
#include "tests/support/test_model.h"

namespace phalanx {
namespace {

/// Sum over distinct storages: a view costs nothing, a copy does.
int64_t held_bytes(const Block::Saved& saved) {
  std::vector<at::Tensor> tensors = {saved.x_nD,
                                     saved.h_nD,
                                     saved.a_nD,
                                     saved.b_nD,
                                     saved.attention_norm.rstd_n,
                                     saved.feed_forward_norm.rstd_n,
                                     saved.attention.qkv_NF,
                                     saved.attention.o_NF,
                                     saved.feed_forward.gate_up_N2f,
                                     saved.feed_forward.product_Nf};
  for (const AttentionSaved::Run& run : saved.attention.core.runs) {
    tensors.push_back(run.out_BhTH);
    tensors.push_back(run.logsumexp);
  }
  std::map<const void*, int64_t> storages;
  for (const at::Tensor& tensor : tensors) {
    if (!tensor.defined()) continue;
    storages[tensor.storage().data()] = static_cast<int64_t>(tensor.storage().nbytes());
  }
  int64_t sum = 0;
  for (const auto& [data, nbytes] : storages) sum += nbytes;
  return sum;
}

constexpr int64_t kRows = 3, kLength = 9;

/// Held by one block after its forward pass, on the rank that holds most.
int64_t measured(const Phi4Config& shape, const ActivationOptions& options, bool documents) {
  int64_t most = 0;
  std::mutex mutex;
  const int tp = static_cast<int>(options.tensor_parallel_size);
  const bool fp32 = options.bytes_per_value == 4;
  run_ranks(tp, [&](Communicator& world) {
    const at::ScalarType dtype = fp32 ? at::kFloat : at::kBFloat16;
    const TensorParallel axis(world, options.sequence_parallel);
    ParameterSet parameters;
    const Block block(parameters, axis, 0, shape, false);
    parameters.allocate(dtype, at::kCPU, 1);
    const RopeTable rope(10000, shape.head_dim, kLength, at::kCPU);
    TokenBatch batch = test_tokens(kRows, kLength, shape.vocab_size, 4, rope);
    if (documents) batch.segments = {{0, 0, 9}, {1, 0, 4}, {1, 4, 9}, {2, 0, 9}};
    const int64_t n = axis.sequence_parallel() ? (kRows * kLength + tp - 1) / tp : kRows * kLength;
    Block::Saved saved;
    (void)block.forward(at::ones({n, shape.hidden_size}, dtype), batch, options.recompute, saved);
    const std::lock_guard lock(mutex);
    most = std::max(most, held_bytes(saved));
  });
  return most;
}

TEST(ActivationBytes, TheyAreWhatABlockHoldsAfterItsForwardPass) {
  for (const auto& [heads, kv_heads, tp] : {std::tuple{8, 2, 1}, {8, 2, 2}, {40, 10, 4}}) {
    for (const Recompute recompute : {Recompute::kNone, Recompute::kSelective, Recompute::kFull}) {
      for (const int mask : {0, 1, 2, 3, 4, 5, 6, 7}) {
        const ActivationOptions options{recompute, mask & 1 ? 2 : 4, tp, (mask & 2) != 0};
        const Phi4Config shape = test_shape(heads, kv_heads);
        EXPECT_EQ(layer_activation_bytes(shape, options, kRows * kLength),
                  measured(shape, options, (mask & 4) != 0))
            << "mode " << int(recompute) << ", tp " << tp << ", case " << mask;
      }
    }
  }
}

TEST(ActivationBytes, ThoseOfFourteenBillionParametersAreAsTheHeaderSays) {
  const Phi4Config phi4;
  EXPECT_EQ(activation_bytes_per_token(phi4, {Recompute::kNone}), 174'248);
  EXPECT_EQ(activation_bytes_per_token(phi4, {Recompute::kSelective}), 117'928);
  EXPECT_EQ(activation_bytes_per_token(phi4, {Recompute::kFull}), 10'240);
  EXPECT_EQ(activation_bytes_per_token(phi4, {Recompute::kFull, 2, 8, true}), 1'280);
}

}  // namespace
}  // namespace phalanx
