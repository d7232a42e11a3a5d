#pragma once
// What a rank is asked to do beside its steps: by signals and a stop file, or by its clocks, which
// save every `checkpoint.interval` of time and stop in time for `run.wall_clock_limit`.
// Local, until the ranks agree (trainer/step_agreement.h). One thread. Times in seconds.
#include <chrono>
#include <functional>
#include <string>

#include "trainer/run_config.h"
#include "trainer/wall_clock.h"

namespace phalanx {

struct Requests {
  bool stop = false;
  bool save = false;
  std::string stop_reason = {};  // who asks, for people
};

/// Whether the rank waits for data.
enum class DataWait { kNone, kWaiting };

class RunRequests {
 public:
  /// `outside` tells what has arrived since it was called last; it may be empty. The clocks of the
  /// first rank speak for all. `started`: the program.
  RunRequests(std::function<Requests()> outside, const RunConfig& config, int rank,
              std::chrono::steady_clock::time_point started);

  /// A rank that waits for data looks at its own clock: the first one may be waiting for it.
  [[nodiscard]] Requests ask(DataWait wait);

  void note_save_begun() { last_save_ = std::chrono::steady_clock::now(); }
  /// For the wall clock's limit, see WallClockLimit.
  void note_turn(double seconds) { wall_clock_.note_turn(seconds); }
  void note_save(double seconds) { wall_clock_.note_save(seconds); }

 private:
  std::function<Requests()> outside_;
  double save_interval_, limit_;
  bool is_first_rank_;
  std::chrono::steady_clock::time_point started_;
  std::chrono::steady_clock::time_point last_save_ = std::chrono::steady_clock::now();
  WallClockLimit wall_clock_;
};

}  // namespace phalanx
