#pragma once
// A step as people read it: one line for logs, a few for a terminal. Pure; local.
#include <cstdint>
#include <string>
#include <vector>

#include "trainer/metrics/live_panel.h"
#include "trainer/metrics/step_record.h"

namespace phalanx {

/// How fast the run goes, smoothed over some steps.
struct Pace {
  double tokens_per_second = 0.0;  // without waits for data
  double seconds_left = 0.0;       // with them
};

/// Loss, by kind too where the run has both, norm, rate, speed, MFU where it is known, a wait for
/// data that is worth saying, time left, phase and its planned weights.
[[nodiscard]] std::string progress_text(const StepRecord& record,
                                        const std::vector<CurriculumSource>& sources,
                                        const Pace& pace);

/// The same in lines of at most `columns`, with a bar.
[[nodiscard]] std::vector<PanelLine> panel_lines(const StepRecord& record,
                                                 const std::vector<CurriculumSource>& sources,
                                                 const Pace& pace, size_t columns);

/// What a validation found of one source, as a line.
[[nodiscard]] std::string validation_text(int64_t step, const std::string& source,
                                          const ValidationResult& result);

/// `90s`, `12m05s`, `3h40m`, `5d02h`.
std::string duration_text(double seconds);
/// `950`, `12.3K`, `4.56M`, `1.20B`, `9.80T`.
std::string count_text(double count);

}  // namespace phalanx
