#pragma once
// Which of the steps that the attempts of a run did have left something in it. Local, pure.
//
// A step is lost when a later attempt does it again, and passed over when the run went back behind
// it after a spike: it is not done again, but the weights know nothing of it.
#include <cstdint>
#include <map>
#include <optional>

namespace phalanx {

using StepSeconds = std::map<int64_t, double>;  // of each step: its time, with its wait for data

/// The steps of one attempt.
class AttemptSteps {
 public:
  /// `rolled_back_to`: the run then went back to that step.
  void add(int64_t step, double seconds, std::optional<int64_t> rolled_back_to);

  bool empty() const { return all_.empty(); }
  int64_t first() const { return all_.begin()->first; }
  int64_t last() const { return all_.rbegin()->first; }
  double seconds() const;
  int64_t passed_over() const { return static_cast<int64_t>(all_.size() - kept_.size()); }
  const StepSeconds& kept() const { return kept_; }

 private:
  StepSeconds all_, kept_;
};

/// The steps of a run, over its attempts.
class StepAccount {
 public:
  void add(const AttemptSteps& attempt);

  int64_t done() const { return static_cast<int64_t>(kept_.size()); }
  int64_t repeated() const { return repeated_; }
  int64_t passed_over() const { return passed_over_; }
  /// Of the steps that are done.
  double useful_seconds() const;

 private:
  StepSeconds kept_;
  int64_t repeated_ = 0, passed_over_ = 0;
};

}  // namespace phalanx
