#include "launch/step_account.h"

#include <iterator>
#include <numeric>

namespace phalanx {
namespace {

double sum(const StepSeconds& steps) {
  return std::accumulate(steps.begin(), steps.end(), 0.0,
                         [](double seconds, const auto& step) { return seconds + step.second; });
}

}  // namespace

void AttemptSteps::add(int64_t step, double seconds, std::optional<int64_t> rolled_back_to) {
  all_[step] = seconds;
  kept_[step] = seconds;
  if (rolled_back_to) kept_.erase(kept_.upper_bound(*rolled_back_to), kept_.end());
}

double AttemptSteps::seconds() const { return sum(all_); }

void StepAccount::add(const AttemptSteps& attempt) {
  passed_over_ += attempt.passed_over();
  if (attempt.empty()) return;
  const auto again = kept_.lower_bound(attempt.first());
  repeated_ += std::distance(again, kept_.end());
  kept_.erase(again, kept_.end());
  kept_.insert(attempt.kept().begin(), attempt.kept().end());
}

double StepAccount::useful_seconds() const { return sum(kept_); }

}  // namespace phalanx
