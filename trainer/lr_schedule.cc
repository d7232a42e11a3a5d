#include "trainer/lr_schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>
#include <utility>

namespace phalanx {
namespace {

int64_t ceil_div(int64_t a, int64_t b) { return a / b + (a % b != 0); }

/// Of a duration in tokens.
int64_t whole_rows(const Duration& duration, int64_t sequence_length) {
  return ceil_div(duration.count, sequence_length);
}

}  // namespace

LrSchedule::LrSchedule(const LearningRateConfig& config, std::vector<StageSteps> steps,
                       int64_t sequence_length)
    : config_(config), steps_(std::move(steps)), end_(steps_.back().end_row) {
  unit_ = 0;
  for (const StageSteps& span : steps_) {
    unit_ = std::gcd(std::gcd(unit_, span.rows_per_step), std::gcd(span.first_row, span.end_row));
  }
  warmup_ = rows_of_first(config.warmup, sequence_length);
  decay_ = rows_of_last(config.decay, sequence_length);
}

int64_t LrSchedule::rows_of_first(const Duration& duration, int64_t sequence_length) const {
  const bool in_steps = duration.unit == Duration::Unit::kSteps;
  int64_t steps_left = duration.count;
  for (const StageSteps& span : steps_) {
    const int64_t num_steps = (span.end_row - span.first_row) / span.rows_per_step;
    const int64_t rows = whole_rows(duration, sequence_length) - span.first_row;
    const int64_t needed =
        in_steps ? steps_left : ceil_div(std::max<int64_t>(rows, 0), span.rows_per_step);
    if (needed <= num_steps) {
      return span.first_row + needed * span.rows_per_step;
    }
    steps_left -= num_steps;
  }
  return end_;
}

int64_t LrSchedule::rows_of_last(const Duration& duration, int64_t sequence_length) const {
  const bool in_steps = duration.unit == Duration::Unit::kSteps;
  int64_t steps_left = duration.count;
  for (auto span = steps_.rbegin(); span != steps_.rend(); ++span) {
    const int64_t num_steps = (span->end_row - span->first_row) / span->rows_per_step;
    const int64_t after = end_ - span->end_row;
    const int64_t rows = whole_rows(duration, sequence_length) - after;
    const int64_t needed =
        in_steps ? steps_left : ceil_div(std::max<int64_t>(rows, 0), span->rows_per_step);
    if (needed <= num_steps) return after + needed * span->rows_per_step;
    steps_left -= num_steps;
  }
  return end_;
}

/// Positions are counted in units, so that with steps of one size they are the numbers of steps:
/// quotients of products by a step's rows would round otherwise.
double LrSchedule::rate(int64_t first_row, int64_t num_rows) const {
  const double begin = double(first_row / unit_), end = double((first_row + num_rows) / unit_);
  if (first_row < warmup_) return config_.peak * end / double(warmup_ / unit_);
  const bool constant = config_.schedule == Decay::kConstant;
  const int64_t start = constant ? end_ - decay_ : warmup_;
  if (first_row < start || end_ == start) return config_.peak;
  return decayed((begin - double(start / unit_)) / double((end_ - start) / unit_));
}

double LrSchedule::decayed(double progress) const {
  const double left = config_.schedule == Decay::kCosine
                          ? 0.5 * (1.0 + std::cos(std::numbers::pi * progress))
                          : 1.0 - progress;
  return config_.final + (config_.peak - config_.final) * left;
}

}  // namespace phalanx
