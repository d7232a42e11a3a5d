#pragma once
// The steps of a run as its metrics.jsonl tells them, for drawing. Local; one thread.
// The file is read line by line, and of each line some numbers are kept: 8 bytes for each of six
// values and of two a source. Of a step that was repeated after a resume the last line counts,
// and steps that a roll-back passed over are left out.
// Keys that are missing or not numbers become NaN; unknown ones are passed over. A line that is
// no JSON object with a step is counted, not thrown: a killed process leaves one.
// Errors: std::system_error for a file that cannot be read.
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace phalanx {

/// One value a step each, as many as the run has steps.
struct SourceHistory {
  std::vector<double> loss;          // nats a valid target; NaN in steps without any
  std::vector<double> tokens;        // of the step
  std::vector<double> total_tokens;  // so far, as the ledger counts them
};

struct ValidationPoint {
  int64_t step = 0;
  double tokens = 0;         // of the run, when it was measured
  double loss = 0;           // nats a target
  double bits_per_byte = 0;  // NaN where the line has none
  double targets = 0;
};

/// Something that happened at a step.
struct RunEvent {
  std::string
      kind;  // start, resume, save, checkpoint, skipped, again, straggler, save_failed, ended
  int64_t step = 0;
  std::string text;
};

struct MetricsHistory {
  std::vector<int64_t> steps;  // strictly rising
  std::vector<double> tokens, loss, grad_norm, learning_rate, tokens_per_second, seconds;
  std::map<std::string, SourceHistory> sources;
  std::map<std::string, std::vector<ValidationPoint>> validation;  // by source
  std::vector<RunEvent> events;                                    // repeated steps included
  int64_t num_steps = 0;  // of the whole run as the last line knows it; 0: not known
  double num_tokens = 0;  // likewise
  int64_t lines = 0, bad_lines = 0, first_bad_line = 0;  // from 1; 0: none

  bool empty() const { return steps.empty(); }
  /// Of the last of them not after `step`; 0 before the first.
  double tokens_at(int64_t step) const;
};

[[nodiscard]] MetricsHistory read_metrics_history(const std::filesystem::path& metrics);

/// Over all sources at each evaluation, every target counted once.
[[nodiscard]] std::vector<ValidationPoint> mean_validation(const MetricsHistory& history);

}  // namespace phalanx
