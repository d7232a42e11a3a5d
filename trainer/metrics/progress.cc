#include "trainer/metrics/progress.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdio>

namespace phalanx {

namespace {

/// Less waiting for data than this share of a step needs no place in the line.
constexpr double kWorthSaying = 0.01;

}  // namespace

std::string duration_text(double seconds) {
  const int64_t s = std::llround(seconds);
  if (s < 120) return fmt::format("{}s", s);
  if (s < 2 * 3600) return fmt::format("{}m{:02}s", s / 60, s % 60);
  if (s < 48 * 3600) return fmt::format("{}h{:02}m", s / 3600, s / 60 % 60);
  return fmt::format("{}d{:02}h", s / 86400, s / 3600 % 24);
}

std::string count_text(double count) {
  // What would round up to a thousand takes the next unit.
  if (count < 999.5) return fmt::format("{:.0f}", count);
  if (count < 999'950) return fmt::format("{:.1f}K", count / 1e3);
  if (count < 999'995'000) return fmt::format("{:.2f}M", count / 1e6);
  if (count < 999'995'000'000) return fmt::format("{:.2f}B", count / 1e9);
  return fmt::format("{:.2f}T", count / 1e12);
}

std::string progress_text(const StepRecord& record, double tokens_per_second, double seconds_left) {
  const double waiting = data_wait_share(record.data_wait_seconds, record.seconds);
  return fmt::format(
      "step {}/{}  tokens {}  loss {:.4f}  norm {:.3f}  lr {:.2e}  {} tok/s  {}{} left",
      record.step, record.num_steps, count_text(double(record.tokens)), record.result.loss,
      record.result.grad_norm, record.learning_rate, count_text(tokens_per_second),
      waiting < kWorthSaying ? "" : fmt::format("data wait {:.0f} %  ", 100 * waiting),
      duration_text(seconds_left));
}

Progress::Progress(bool on_terminal, std::chrono::seconds interval, int64_t total_tokens)
    : on_terminal_(on_terminal), interval_(interval), total_tokens_(total_tokens) {}

void Progress::show(const StepRecord& record) {
  const double now_per_token = record.seconds / double(record.step_tokens);
  seconds_per_token_ =
      seconds_per_token_ == 0.0 ? now_per_token : 0.95 * seconds_per_token_ + 0.05 * now_per_token;
  const auto now = std::chrono::steady_clock::now();
  const bool due = record.step == record.num_steps || now - last_shown_ >= interval_;
  if (!on_terminal_ && !due) return;
  last_shown_ = now;
  const std::string text = progress_text(
      record, 1.0 / seconds_per_token_, double(total_tokens_ - record.tokens) * seconds_per_token_);
  std::fprintf(stderr, on_terminal_ ? "\r\x1b[K%s" : "%s\n", text.c_str());
  std::fflush(stderr);
  line_open_ = on_terminal_;
}

void Progress::note(const std::string& text) {
  std::fprintf(stderr, line_open_ ? "\n%s\n" : "%s\n", text.c_str());
  std::fflush(stderr);
  line_open_ = false;
}

}  // namespace phalanx
