#include "trainer/run_requests.h"

#include <utility>

#include "trainer/metrics/progress_text.h"

namespace phalanx {
namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

RunRequests::RunRequests(std::function<Requests()> outside, const RunConfig& config, int rank,
                         std::chrono::steady_clock::time_point started)
    : outside_(std::move(outside)),
      save_interval_(config.checkpoint.interval_seconds),
      limit_(config.wall_clock_limit_seconds),
      is_first_rank_(rank == 0),
      started_(started),
      wall_clock_(limit_) {}

Requests RunRequests::ask(DataWait wait) {
  Requests asked = outside_ ? outside_() : Requests{};
  asked.save |= is_first_rank_ && save_interval_ > 0 && seconds_since(last_save_) >= save_interval_;
  const bool speaks = is_first_rank_ || wait == DataWait::kWaiting;
  if (speaks && wall_clock_.is_near(seconds_since(started_))) {
    asked.stop = true;
    asked.stop_reason = "run.wall_clock_limit of " + duration_text(limit_);
  }
  return asked;
}

}  // namespace phalanx
