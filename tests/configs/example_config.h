#pragma once
// A small valid configuration that the tests change line by line, and the message of an error.
#include <stdexcept>
#include <string>

#include "configs/read_config.h"

namespace phalanx::testing {

inline std::string example_yaml() {
  return R"(run: {name: example, dir: runs}
model: {preset: phi4-10m}
parallel: {tensor_parallel_size: 1}
data:
  seed: 1234
  tokenizer: tokenizers/phi4
  sources:
    web: {path: /data/web, kind: organic, max_epochs: 1.2}
    exercises: {path: /data/exercises, kind: synthetic, max_epochs: 13.8}
  groups: {synthetic: {exercises: 1.0}}
stages:
  - name: pretrain
    sequence_length: 4096
    rope_theta: 10000
    global_batch_size: 16
    micro_batch_size: 2
    learning_rate: {peak: 3e-4, warmup_tokens: 2M, schedule: linear, final: 0}
    phases:
      - {name: foundation, tokens: 6M, mix: {web: 0.4, synthetic: rest}}
      - {name: later, tokens: 14M, mix: {web: 0.15, synthetic: rest}, ramp: linear, ramp_tokens: 2M}
optimizer: {name: adamw, beta1: 0.9, beta2: 0.95, weight_decay: 0.1, clip_grad_norm: 1.0}
precision: bf16
)";
}

/// The example with one part of its text exchanged; fails loudly when that part is not there.
inline std::string example_with(const std::string& old_part, const std::string& new_part) {
  std::string text = example_yaml();
  const std::size_t at = text.find(old_part);
  if (at == std::string::npos) throw std::logic_error("not in the example: " + old_part);
  return text.replace(at, old_part.size(), new_part);
}

inline ConfigRequest request(std::vector<std::string> overrides = {}, int64_t num_ranks = 0) {
  return {"run.yaml", std::move(overrides), PHALANX_SOURCE_DIR "/configs", num_ranks};
}

inline ResolvedConfig read(const std::string& text, std::vector<std::string> overrides = {},
                           int64_t num_ranks = 0) {
  return read_run_config_text(text, request(std::move(overrides), num_ranks));
}

/// The message of the std::invalid_argument that reading ends with; "" when it succeeds.
inline std::string error_of(const std::string& text, std::vector<std::string> overrides = {},
                            int64_t num_ranks = 0) {
  try {
    read(text, std::move(overrides), num_ranks);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

}  // namespace phalanx::testing
