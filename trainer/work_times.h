#pragma once
// Which rank is slow: the time of each rank's own work in a step, without its waiting in
// collectives, compared now and then. A slow rank makes all others wait, so that only this tells it
// from them.
//
// WorkTimes::compare() is collective over control; the rest is local. The rule is pure. On a GPU
// the host's time says nothing of the device's: there is nothing to compare there yet.
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "parallel/communicator.h"

namespace phalanx {

struct RankWork {
  std::string host;
  double seconds = 0.0;  // of a step, in the mean
};

struct Straggler {
  int rank = 0;
  std::string host;
  double seconds = 0.0;
  double score = 1.0;     // the median rank's time by this one's
  bool is_known = false;  // from the comparison before
};

struct WorkReport {
  double median_seconds = 0.0;  // the lower one of two
  double slowest_seconds = 0.0;
  int slowest_rank = 0;
  std::vector<Straggler> stragglers;
};

/// A rank is a straggler when its score was below kStragglerScore twice in a row.
inline constexpr double kStragglerScore = 0.7;

class StragglerRule {
 public:
  WorkReport judge(const std::vector<RankWork>& ranks);

 private:
  std::vector<int> slow_in_a_row_;  // by rank
};

/// "rank 3 on node7 takes 2.1 times as long as others for its own part of a step (...)".
std::string straggler_text(const Straggler& straggler, const WorkReport& report);

class WorkTimes {
 public:
  /// 0 seconds: never due.
  explicit WorkTimes(double interval_seconds) : interval_seconds_(interval_seconds) {}

  void add(double seconds);
  /// By this rank's clock; one rank's answer counts for all.
  bool is_due() const;
  WorkReport compare(Communicator& control);

 private:
  using Clock = std::chrono::steady_clock;

  double interval_seconds_;
  Clock::time_point last_ = Clock::now();
  double seconds_ = 0.0;
  int64_t steps_ = 0;
  StragglerRule rule_;
};

}  // namespace phalanx
