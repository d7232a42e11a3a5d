#pragma once
// How likely a model finds given tokens: the forward pass of training over one row at a time, on
// one CPU rank, with weights alone (no gradients, no optimizer).
// Local. Ownership: owns the weights; the source is read by the constructor only.
// Errors: std::invalid_argument where the source's tensors are not the model's, or naming the
// token, expected and found.
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "model/phi4.h"
#include "parallel/communicator.h"
#include "trainer/checkpoint/hf_config.h"
#include "trainer/checkpoint/tensor_source.h"

namespace phalanx {

class Scorer {
 public:
  /// Weights and products in `dtype`, fp32 or bf16; log-probabilities are summed in fp32.
  Scorer(TensorSource& source, const HfConfig& config, at::ScalarType dtype);
  Scorer(const Scorer&) = delete;
  Scorer& operator=(const Scorer&) = delete;

  /// ln p(ids[i + 1] | ids[0..i]) at i, one value fewer than ids. The length of the whole row, its
  /// last token included, decides between the factors of LongRoPE.
  std::vector<float> log_probabilities(std::span<const int32_t> ids) const;

  /// Ids are below it.
  int64_t vocab_size() const { return config_.shape.vocab_size; }

 private:
  void check_ids(std::span<const int32_t> ids) const;

  HfConfig config_;
  std::unique_ptr<Communicator> alone_;
  TensorParallel tensor_parallel_;
  ParameterSet parameters_;
  Phi4 model_;
};

}  // namespace phalanx
