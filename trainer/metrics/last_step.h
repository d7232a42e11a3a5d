#pragma once
// Where a run stands, from the end of its metrics.jsonl. Local; reads no more of the file than that
// needs. What stands in the file is not trusted: a torn or strange line is passed over.
// Errors: std::system_error of a file that cannot be read.
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace phalanx {

/// Fields of trainer/METRICS.md; nothing where a line has none, as those of older versions.
struct LastStep {
  int64_t step = 0;
  std::optional<int64_t> num_steps, tokens, num_tokens, attempt;
  std::optional<double> loss;  // nor of a step whose loss was not finite
  std::optional<double> unix_seconds;
  std::string phase;
};

/// Of the last whole line that has a step; nothing without one, or without the file.
[[nodiscard]] std::optional<LastStep> read_last_step(const std::filesystem::path& metrics);

}  // namespace phalanx
