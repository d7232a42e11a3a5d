#pragma once
// config.json of a Hugging Face folder of architecture Phi3ForCausalLM, as written by transformers
// 4 (`rope_theta`) and 5 (`rope_parameters`).
//
// Local; plain values. Errors: std::invalid_argument "PATH: key ...: expected ..., found ..." for
// another architecture or a feature that phi-4 does not have (a rotary embedding scaled in another
// way than LongRoPE, another activation, quantized weights). A window is none where it is null.
// Source: transformers, configuration_phi3.py and modeling_rope_utils.py.
#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "model/phi4_config.h"

namespace phalanx {

struct HfConfig {
  Phi4Config shape;
  double rope_theta = 10000;
  int64_t max_position_embeddings = 4096;
  std::vector<int64_t> bos_token_id{}, eos_token_id{}, pad_token_id{};  // empty: null
  std::string dtype{};  // of the weights, in torch's words ("bfloat16"); empty: not said
};

/// Keys of config.json that hold a token's id, or several ids.
struct HfTokenIds {
  const char* key;
  std::vector<int64_t> HfConfig::*ids;
  int64_t when_absent;  // to transformers
};
inline constexpr std::array<HfTokenIds, 3> kHfTokenIds{{
    {"bos_token_id", &HfConfig::bos_token_id, 1},
    {"eos_token_id", &HfConfig::eos_token_id, 32000},
    {"pad_token_id", &HfConfig::pad_token_id, 32000},
}};

/// `where` begins every message.
[[nodiscard]] HfConfig parse_hf_config(std::string_view text, const std::string& where);
[[nodiscard]] HfConfig read_hf_config(const std::filesystem::path& folder);

/// Only the ids of kHfTokenIds, of a folder's config.json of any architecture, within `config`'s
/// vocabulary; an id that is absent or null there is none.
void take_hf_token_ids(const std::filesystem::path& folder, HfConfig& config);

/// Text of a config.json that transformers 5 reads without a warning; 4 as well, but for LongRoPE,
/// which it refuses in this form.
[[nodiscard]] std::string hf_config_text(const HfConfig& config, const std::string& dtype);

}  // namespace phalanx
