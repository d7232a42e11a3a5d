#include "model/hf_layout.h"

#include <gtest/gtest.h>

#include <set>

namespace phalanx {
namespace {

TEST(HfLayout, Phi4HasThePublishedTensorsAndParameters) {
  const std::vector<HfTensor> tensors = hf_tensors(Phi4Config{});
  EXPECT_EQ(tensors.size(), 243U);
  int64_t fused = 0, logical = 0;
  std::set<std::string> names;
  for (const HfTensor& tensor : tensors) {
    const auto count = [](const std::vector<int64_t>& shape) {
      return shape.size() == 1 ? shape[0] : shape[0] * shape[1];
    };
    fused += count(tensor.shape);
    for (const LogicalTensor& part : tensor.parts) {
      logical += count(part.shape);
      names.insert(part.name);
    }
  }
  EXPECT_EQ(fused, 14'659'507'200);
  EXPECT_EQ(logical, fused);
  EXPECT_EQ(names.size(), 363U);
}

TEST(HfLayout, FusedRowsAreQueryKeyValueAndGateUp) {
  for (const HfTensor& tensor : hf_tensors(Phi4Config{})) {
    if (tensor.name == "model.layers.3.self_attn.qkv_proj.weight") {
      EXPECT_EQ(tensor.shape, (std::vector<int64_t>{7680, 5120}));
      EXPECT_EQ(tensor.parts[0].name, "layers.3.attention.q.weight");
      EXPECT_EQ(tensor.parts[1].name, "layers.3.attention.k.weight");
      EXPECT_EQ(tensor.parts[2].shape, (std::vector<int64_t>{1280, 5120}));
    }
    if (tensor.name == "model.layers.3.mlp.gate_up_proj.weight") {
      EXPECT_EQ(tensor.parts[0].name, "layers.3.feed_forward.gate.weight");
      EXPECT_EQ(tensor.parts[1].name, "layers.3.feed_forward.up.weight");
    }
  }
}

TEST(HfLayout, TiedEmbeddingsHaveNoHead) {
  Phi4Config config;
  config.tie_word_embeddings = true;
  EXPECT_EQ(hf_tensors(config).size(), 242U);
  EXPECT_EQ(hf_tensors(config).back().name, "model.norm.weight");
}

}  // namespace
}  // namespace phalanx
