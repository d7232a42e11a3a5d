#include "trainer/metrics/progress.h"

#include <cstdio>
#include <utility>

namespace phalanx {
namespace {

/// A panel that is drawn more often cannot be read.
constexpr std::chrono::milliseconds kPanelInterval{100};

double smoothed(double before, double now) {
  return before == 0.0 ? now : 0.95 * before + 0.05 * now;
}

}  // namespace

Progress::Progress(const ProgressOptions& options, std::vector<CurriculumSource> sources)
    : options_(options), sources_(std::move(sources)), panel_(options.colours) {}

Pace Progress::pace_after(const StepRecord& record) {
  const double tokens = double(record.step_tokens);
  seconds_per_token_ = smoothed(seconds_per_token_, record.seconds / tokens);
  all_seconds_per_token_ =
      smoothed(all_seconds_per_token_, (record.seconds + record.data_wait_seconds) / tokens);
  return {1.0 / seconds_per_token_,
          double(record.num_tokens - record.tokens) * all_seconds_per_token_};
}

bool Progress::is_due(const StepRecord& record) const {
  if (record.step == record.num_steps) return true;
  const auto since = std::chrono::steady_clock::now() - last_shown_;
  return options_.style == ProgressStyle::kPanel ? since >= kPanelInterval
                                                 : since >= options_.interval;
}

void Progress::show(const StepRecord& record) {
  if (options_.style == ProgressStyle::kNone) return;
  const Pace pace = pace_after(record);
  const bool due = is_due(record);
  if (due) last_shown_ = std::chrono::steady_clock::now();
  if (options_.style == ProgressStyle::kPanel) {
    const TerminalSize size = terminal_size();
    // Set though it is not due: a note, as of the save that ends a stopped run, draws it.
    panel_.set(panel_lines(record, sources_, pace, size.columns - 1));
    if (due) panel_.draw(size);
  } else if (due) {
    note(progress_text(record, sources_, pace));
  }
  for (const auto& [source, result] : record.validation) {
    note(validation_text(record.step, source, result));
  }
}

void Progress::note(const std::string& text) {
  if (options_.style == ProgressStyle::kPanel) return panel_.print_above(text, terminal_size());
  std::fprintf(stderr, "%s\n", text.c_str());
  std::fflush(stderr);
}

}  // namespace phalanx
