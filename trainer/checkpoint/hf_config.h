#pragma once
// config.json of a Hugging Face folder of architecture Phi3ForCausalLM, as written by transformers
// 4 (`rope_theta`) and 5 (`rope_parameters`).
//
// Local; plain values. Errors: std::invalid_argument "PATH: key ...: expected ..., found ..." for
// another architecture or a feature that phi-4 does not have (a rotary embedding scaled in another
// way than LongRoPE, another activation). A window is none where it is null.
// Source: transformers, configuration_phi3.py and modeling_rope_utils.py.
#include <cstdint>
#include <filesystem>
#include <string>

#include "model/phi4_config.h"

namespace phalanx {

struct HfConfig {
  Phi4Config shape;
  double rope_theta = 10000;
  int64_t max_position_embeddings = 4096;
};

[[nodiscard]] HfConfig read_hf_config(const std::filesystem::path& folder);

/// Throws naming key, expected and found where the folder's model is not `expected`.
void check_hf_config(const std::filesystem::path& folder, const HfConfig& found,
                     const Phi4Config& expected);

/// Text of a config.json that both versions of transformers read.
[[nodiscard]] std::string hf_config_text(const HfConfig& config, const std::string& dtype);

}  // namespace phalanx
