#include "launch/kernel_text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>

#include "model/kernels/attention_core.h"
#include "parallel/fp8.h"
#include "parallel/gemm.h"
#include "parallel/shard_spec.h"

namespace phalanx {
namespace {

/// Appends `what: ` and the text of the first stage, and of each stage where it changes.
void add_by_stage(const RunConfig& config, const std::string& what,
                  const std::function<std::string(const StageConfig&)>& text_of,
                  std::vector<std::string>& lines) {
  std::string said;
  for (const StageConfig& stage : config.stages) {
    const std::string text = text_of(stage);
    if (text == said) continue;
    const std::string from = said.empty() ? "" : ", from stage " + stage.name + " on";
    lines.push_back(what + from + ": " + text);
    said = text;
  }
}

struct LinearSizes {
  const char* name;
  int64_t in, out;
};

/// Of a block's linear layers, as one part of the tensor axis multiplies them: what lies in one
/// piece of memory is one product (tp_linear.h).
std::vector<LinearSizes> linear_sizes(const Phi4Config& shape, int64_t parts, int64_t part) {
  const HeadSplit heads =
      split_heads(shape.num_attention_heads, shape.num_key_value_heads, parts, part);
  const int64_t hidden = shape.hidden_size, query = heads.query.size() * shape.head_dim;
  const int64_t key_value = heads.key_value.size() * shape.head_dim;
  const int64_t inner = split_range(shape.intermediate_size, parts, part).size();
  std::vector<LinearSizes> sizes{
      {"o", query, hidden}, {"gate_up", hidden, 2 * inner}, {"down", inner, hidden}};
  if (heads.key_value_divides) {
    sizes.insert(sizes.begin(), {"qkv", hidden, query + 2 * key_value});
  } else {
    sizes.insert(sizes.begin(), {{"q", hidden, query}, {"k and v", hidden, key_value}});
  }
  return sizes;
}

std::string fp8_text(const RunConfig& config, const StageConfig& stage) {
  std::vector<std::string> left;
  const int64_t parts = config.parallel.tensor_parallel_size;
  for (int64_t part = 0; part < parts; ++part) {
    for (const auto& [name, in, out] : linear_sizes(config.model.shape, parts, part)) {
      if (takes_fp8(in, out)) continue;
      const std::string text = fmt::format("{} ({} to {})", name, in, out);
      if (std::find(left.begin(), left.end(), text) == left.end()) left.push_back(text);
    }
  }
  const int64_t tokens = stage.micro_batch_size * stage.sequence_length;
  if (!takes_fp8(tokens, config.model.shape.hidden_size)) {
    left.push_back(fmt::format("weight gradients over {} tokens", tokens));
  }
  const std::string scales =
      config.fp8_scaling == Fp8Scaling::kRows ? "a scale a row" : "a scale a matrix";
  if (left.empty()) return "all of the blocks', " + scales;
  return fmt::format(
      "those of the blocks, {}; in bf16 instead, since cuBLAS takes multiples of {}: {}", scales,
      kFp8Unit, fmt::join(left, ", "));
}

}  // namespace

std::vector<std::string> kernel_lines(const RunConfig& config) {
  const bool on_cpu = config.parallel.device == DeviceKind::kCpu;
  const at::ScalarType dtype = dtype_of(config.precision);
  std::vector<std::string> lines;
  if (on_cpu) lines.push_back("cpu products: " + cpu_products_text(dtype));
  const auto attention = [&](const StageConfig& stage) {
    return attention_text(on_cpu ? at::kCPU : at::kCUDA, dtype, config.model.shape.head_dim,
                          config.model.shape.sliding_window, stage.sequence_length);
  };
  add_by_stage(config, "attention", attention, lines);
  if (config.precision == Precision::kFp8) {
    add_by_stage(
        config, "fp8 products", [&](const StageConfig& stage) { return fp8_text(config, stage); },
        lines);
  }
  return lines;
}

}  // namespace phalanx
