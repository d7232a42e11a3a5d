#pragma once
// Models of a few odd-sized tensors, split over a mesh, whose every element has a value of its own:
// what is loaded on any mesh can be compared with what the element must be.
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "parallel/mesh.h"
#include "parallel/parameters.h"
#include "trainer/adamw.h"
#include "trainer/checkpoint/share_pieces.h"
#include "trainer/checkpoint/slice_layout.h"

namespace phalanx {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "phalanx-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// The message of the std::exception that `step` throws; empty if it throws none.
inline std::string message_of(const std::function<void()>& step) {
  try {
    step();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

#define EXPECT_CONTAINS(text, part) \
  EXPECT_NE(std::string(text).find(part), std::string::npos) << "in: " << (text)

/// One rank's parameters and shares.
struct RankModel {
  ParameterSet parameters;
  std::vector<BucketShare> shares;
};

struct ToyTensor {
  std::string name;
  std::vector<int64_t> shape;
  ParamRole role;
  int64_t dim;
};

/// Sizes that divide by nothing; the second bucket spans several shares of kBucketAlignment.
inline std::vector<ToyTensor> toy_tensors() {
  return {{"token_embedding.weight", {101, 7}, ParamRole::kSharded, 0},
          {"layers.0.attention_norm.weight", {7}, ParamRole::kReplicated, 0},
          {"layers.0.attention.q.weight", {131, 97}, ParamRole::kSharded, 0},
          {"layers.0.attention.k.weight", {10, 97}, ParamRole::kShared, 0},
          {"layers.0.attention.o.weight", {97, 133}, ParamRole::kSharded, 1},
          {"layers.0.feed_forward.down.weight", {7, 2}, ParamRole::kSharded, 1},
          {"norm.weight", {5}, ParamRole::kReplicated, 0}};
}

inline std::unique_ptr<RankModel> make_rank(const Mesh& mesh,
                                            const std::vector<ToyTensor>& tensors) {
  auto model = std::make_unique<RankModel>();
  for (const ToyTensor& tensor : tensors) {
    const Range part = split_range(tensor.shape[tensor.dim], mesh.tp_size, mesh.tp_rank);
    const ShardSpec spec = tensor.role == ParamRole::kReplicated ? replicated(tensor.shape)
                           : tensor.role == ParamRole::kShared
                               ? shared(tensor.shape, tensor.dim, part)
                               : sharded(tensor.shape, tensor.dim, part);
    model->parameters.declare(tensor.name, spec, tensor.name.substr(0, 5), true);
  }
  model->parameters.allocate(at::kFloat, at::kCPU, mesh.dp_size);
  for (const Bucket& bucket : model->parameters.buckets()) {
    const int64_t numel = bucket.padded_numel / mesh.dp_size;
    const auto zeros = [&] { return at::zeros({numel}, at::TensorOptions(at::kFloat)); };
    model->shares.push_back({mesh.dp_rank * numel, numel, zeros(), zeros(), zeros()});
  }
  return model;
}

/// Finite, and different for each element of each tensor and kind.
inline float toy_value(const std::string& tensor, size_t kind, int64_t element) {
  const auto mixed = static_cast<uint32_t>(std::hash<std::string>()(tensor) * 2654435761U +
                                           kind * 40503U + static_cast<uint64_t>(element) * 97U);
  return static_cast<float>(static_cast<int32_t>(mixed)) * 1.1e-7F;
}

/// Calls visit(element of the share, value it must have, kind) for all but the padding.
template <typename Visit>
void visit_toy_elements(RankModel& model, const Visit& visit) {
  for (const SharePiece& piece : share_pieces(model.parameters, model.shares)) {
    const ShardSpec& spec = piece.parameter->spec;
    const SliceLayout layout = slice_layout(spec.full_shape, spec.dim, spec.stored());
    for (size_t kind = 0; kind < kShareKinds.size(); ++kind) {
      float* values = (model.shares[piece.bucket].*kShareKinds[kind].tensor).data_ptr<float>();
      visit_runs(layout, piece.stored, [&](const Run& run) {
        for (int64_t i = 0; i < run.numel; ++i) {
          visit(values[piece.offset + run.slice - piece.stored.begin + i],
                toy_value(piece.parameter->name, kind, run.full + i), kind);
        }
      });
    }
  }
}

inline void fill_toy(RankModel& model) {
  visit_toy_elements(model, [](float& element, float value, size_t) { element = value; });
}

inline int64_t count_wrong(RankModel& model) {
  int64_t wrong = 0;
  visit_toy_elements(model,
                     [&](float& element, float value, size_t) { wrong += element != value; });
  return wrong;
}

}  // namespace phalanx
