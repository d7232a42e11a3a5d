#include "trainer/metrics/step_record.h"

#include <algorithm>

namespace phalanx {

double data_wait_share(double wait_seconds, double step_seconds) {
  const double seconds = wait_seconds + step_seconds;
  return seconds > 0 ? wait_seconds / seconds : 0.0;
}

double tokens_per_second(const StepRecord& record) {
  return static_cast<double>(record.step_tokens) / record.seconds;
}

std::optional<double> mfu_at(const StepRecord& record, double tokens_per_second) {
  if (record.peak_flops == 0 || record.step_tokens == 0) return std::nullopt;
  const double flops_per_token = record.flops / static_cast<double>(record.step_tokens);
  return flops_per_token * tokens_per_second / record.peak_flops;
}

std::vector<KindSums> sums_by_kind(const StepRecord& record,
                                   const std::vector<CurriculumSource>& sources) {
  std::vector<KindSums> kinds;
  for (const SourceKind kind : {SourceKind::kOrganic, SourceKind::kSynthetic}) {
    const auto is_of_kind = [kind](const CurriculumSource& source) { return source.kind == kind; };
    if (std::none_of(sources.begin(), sources.end(), is_of_kind)) continue;
    KindSums sums{kind};
    for (size_t s = 0; s < sources.size(); ++s) {
      if (sources[s].kind != kind) continue;
      sums.tokens += record.source_tokens[s];
      sums.nats += record.result.by_source.nats[s];
      sums.targets += record.result.by_source.targets[s];
    }
    kinds.push_back(sums);
  }
  return kinds;
}

}  // namespace phalanx
