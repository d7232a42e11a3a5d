#pragma once
// When to stop so that all is saved before a limit of time, as a scheduler sets one. Local, pure:
// the clock is the caller's. Times in seconds since the start of the program.
#include <algorithm>

namespace phalanx {

class WallClockLimit {
 public:
  /// 0: no limit.
  explicit WallClockLimit(double limit) : limit_(limit) {}

  /// A turn of the loop: a step with what comes after it, saving apart.
  void note_turn(double seconds) { longest_turn_ = std::max(longest_turn_, seconds); }
  void note_save(double seconds) { longest_save_ = std::max(longest_save_, seconds); }

  /// Asked before a turn, after which there is the last save if it is near. If it is not, another
  /// turn and a save may pass before it is asked again; and the last save shall find twice the time
  /// that it needs.
  bool is_near(double elapsed) const {
    return limit_ > 0 && elapsed + 2 * longest_turn_ + 3 * save_seconds() >= limit_;
  }

 private:
  // Of the limit, while no save has been measured.
  static constexpr double kUnmeasured = 0.05;
  double save_seconds() const { return longest_save_ > 0 ? longest_save_ : kUnmeasured * limit_; }

  double limit_;
  double longest_turn_ = 0.0, longest_save_ = 0.0;
};

}  // namespace phalanx
