#pragma once
// What an attempt of a run does, seen from outside: by its metrics.jsonl, its checkpoints and its
// folder of hangs. Local; reads only what is new since the attempt began.
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>

#include "launch/step_account.h"

namespace phalanx {

class AttemptWatch {
 public:
  explicit AttemptWatch(std::filesystem::path run_folder);

  /// Reads what has been written since the last call.
  void look();

  const AttemptSteps& steps() const { return steps_; }
  /// From the start of the attempt to its first step, and from its last step until now.
  double seconds_to_first_step() const;
  double seconds_since_last_step() const;
  double seconds() const;
  /// Of the newest checkpoint now; nothing without one.
  std::optional<int64_t> checkpoint_step() const;
  bool has_new_checkpoint() const { return checkpoint_step() != checkpoint_before_; }
  /// Ranks have reported a hang.
  bool has_hung() const;

 private:
  using Clock = std::chrono::steady_clock;

  std::filesystem::path folder_;
  Clock::time_point start_ = Clock::now();
  std::filesystem::file_time_type start_time_ = std::filesystem::file_time_type::clock::now();
  std::optional<Clock::time_point> first_step_, last_step_;
  int64_t read_ = 0;  // bytes of metrics.jsonl
  AttemptSteps steps_;
  std::optional<int64_t> checkpoint_before_;
};

}  // namespace phalanx
