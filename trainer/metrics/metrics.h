#pragma once
// The run's record: metrics.jsonl, one JSON object a step, appended after a resume. Its fields are
// documented in trainer/METRICS.md, and a test holds the two together. Local: the first rank only.
// Floating-point values are written with the digits that read back to the same bits; a non-finite
// value is null. Readers take the last line of a step (a resumed run repeats steps under a higher
// attempt), know that the steps between a line's `rolled_back_to` and itself have left no trace in
// the weights, though their lines stay, and tolerate a torn last line. Errors: std::system_error
// naming the file.
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "data/file.h"
#include "trainer/metrics/step_record.h"

namespace phalanx {

/// Where a line goes besides the file.
enum class MetricsEcho { kNone, kStdout };

/// By source, as a line has it.
[[nodiscard]] nlohmann::json validation_json(const ValidationResults& results);

class Metrics {
 public:
  /// `sources` are the run's, in name order.
  Metrics(const std::filesystem::path& path, std::vector<CurriculumSource> sources,
          MetricsEcho echo = MetricsEcho::kNone);
  void write(const StepRecord& record);

 private:
  File file_;
  MetricsEcho echo_;
  std::vector<CurriculumSource> sources_;
};

}  // namespace phalanx
