#pragma once
// What a person sees of a run while it trains, on stderr: on a terminal a panel of a few lines that
// is drawn again in place, elsewhere a plain line every interval. Local: the first rank only. Not
// for machines: those read metrics.jsonl.
#include <chrono>
#include <string>
#include <vector>

#include "trainer/metrics/live_panel.h"
#include "trainer/metrics/progress_text.h"
#include "trainer/metrics/step_record.h"

namespace phalanx {

enum class ProgressStyle { kNone, kLines, kPanel };

struct ProgressOptions {
  ProgressStyle style = ProgressStyle::kLines;
  bool colours = false;                      // of a panel
  std::chrono::milliseconds interval{5000};  // between lines
};

class Progress {
 public:
  Progress(const ProgressOptions& options, std::vector<CurriculumSource> sources);

  void show(const StepRecord& record);
  /// A line of its own, at once; with style kNone too.
  void note(const std::string& text);

 private:
  Pace pace_after(const StepRecord& record);
  bool is_due(const StepRecord& record) const;

  ProgressOptions options_;
  std::vector<CurriculumSource> sources_;
  LivePanel panel_;
  std::chrono::steady_clock::time_point last_shown_;
  // Smoothed over some 20 steps, without and with waits for data.
  double seconds_per_token_ = 0.0, all_seconds_per_token_ = 0.0;
};

}  // namespace phalanx
