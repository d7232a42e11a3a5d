#pragma once
// What a person sees of a run, on stderr: step, tokens, loss, gradient norm, learning rate,
// tokens/s, time left. On a terminal one line rewritten in place, elsewhere a line every interval.
// Local: the first rank only. Not for machines: those read metrics.jsonl.
#include <chrono>
#include <string>

#include "trainer/metrics/metrics.h"

namespace phalanx {

class Progress {
 public:
  /// tokens_left counts from the run's start to its end.
  Progress(bool on_terminal, std::chrono::seconds interval, int64_t total_tokens);

  void show(const StepRecord& record);
  /// A line of its own, at once.
  void note(const std::string& text);

 private:
  bool on_terminal_;
  std::chrono::seconds interval_;
  int64_t total_tokens_;
  std::chrono::steady_clock::time_point last_shown_;
  double seconds_per_token_ = 0.0;  // smoothed over some 20 steps
  bool line_open_ = false;
};

std::string progress_text(const StepRecord& record, double tokens_per_second, double seconds_left);
/// `90s`, `12m05s`, `3h40m`, `5d02h`.
std::string duration_text(double seconds);
/// `950`, `12.3K`, `4.56M`, `1.20B`, `9.80T`.
std::string count_text(double count);

}  // namespace phalanx
