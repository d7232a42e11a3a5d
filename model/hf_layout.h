#pragma once
// The Hugging Face layout of a phi-4 model (architecture Phi3ForCausalLM), as pure data: tensor
// names, which logical tensors each one fuses and in which row order, and the keys of config.json.
// Importing and exporting both read it; no files here.
//
// Local; pure values. Source: transformers, models/phi3/modeling_phi3.py; the counts follow from
// the published weights (243 tensors for phi4-14b).
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "model/phi4_config.h"

namespace phalanx {

inline constexpr const char* kHfArchitecture = "Phi3ForCausalLM";
inline constexpr const char* kHfModelType = "phi3";
/// For messages: the published families of this architecture.
inline constexpr const char* kHfFamilies = "phi-4, phi-4-mini, phi-3-medium and phi-3-mini";

/// A logical tensor; matrices are [out, in], rows first.
struct LogicalTensor {
  std::string name;
  std::vector<int64_t> shape;
};

/// One tensor of the layout: the rows of its parts one after another.
struct HfTensor {
  std::string name;
  std::vector<int64_t> shape;
  std::vector<LogicalTensor> parts;
};

/// All tensors, in the order of the layers. With tied embeddings there is no `lm_head.weight`.
[[nodiscard]] std::vector<HfTensor> hf_tensors(const Phi4Config& config);

/// Keys of config.json that hold a size, and the field each one is.
struct HfSize {
  const char* key;
  int64_t Phi4Config::*field;
};
inline constexpr std::array<HfSize, 7> kHfSizes{{
    {"vocab_size", &Phi4Config::vocab_size},
    {"hidden_size", &Phi4Config::hidden_size},
    {"intermediate_size", &Phi4Config::intermediate_size},
    {"num_hidden_layers", &Phi4Config::num_hidden_layers},
    {"num_attention_heads", &Phi4Config::num_attention_heads},
    {"num_key_value_heads", &Phi4Config::num_key_value_heads},
    {"head_dim", &Phi4Config::head_dim},
}};

}  // namespace phalanx
