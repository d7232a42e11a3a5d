#pragma once
// What a rank did last: its phase and step, and its last collectives, in a page of shared memory
// that other processes of the host can read while the rank itself cannot answer.
//
// Local. One thread writes, the one that owns the communicators; any thread and any process of the
// same user may take a snapshot. No locks on the way of a collective: it costs two clock reads and
// some stores. A snapshot of a rank that is at work may be torn; of one that hangs it is exact.
// Ownership: the file lies in kFlightFolder under the name file() and goes with the recorder. One
// that a killed process left behind is removed when the next recorder is made: its lock tells.
// Times are nanoseconds of CLOCK_MONOTONIC, which all processes of a host share.
// Errors: std::system_error naming the file.
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace phalanx {

inline constexpr const char* kFlightFolder = "/dev/shm";

enum class FlightOperation : int8_t {
  kSplit,
  kAllReduce,
  kReduceScatter,
  kAllGather,
  kAllToAll,
  kBroadcast,
  kBarrier,
};
const char* operation_name(FlightOperation operation);

/// What a rank is about; each has a time limit of its own.
enum class RunPhase : int8_t { kStart, kTrain, kEvaluate, kSave, kEnd };
const char* phase_text(RunPhase phase);

struct CollectiveRecord {
  FlightOperation operation = FlightOperation::kSplit;
  int group = 0;       // groups count from 0 as they are made, alike on all their ranks
  int64_t number = 0;  // of the collective in its group, from 1
  int64_t bytes = 0;   // alike on all ranks of the group
  int64_t begun_ns = 0;
  int64_t ended_ns = 0;  // 0: the rank waits in it. On a GPU the end of the call, not of the work

  bool is_open() const { return ended_ns == 0; }
};

struct FlightGroup {
  std::string name;
  // Ranks of the whole run, by their rank in the group; empty if they are not evenly spaced, which
  // those of a mesh are.
  std::vector<int> members;
};

struct FlightSnapshot {
  RunPhase phase = RunPhase::kStart;
  int64_t step = 0;             // under way, from 1; 0: before the first one
  int64_t steps_done = 0;       // by this process
  int64_t slowest_step_ns = 0;  // of those, the first one apart
  int64_t progress_ns = 0;      // when anything was last recorded
  bool overdue = false;         // its own watchdog has found no progress
  bool spoke = false;           // and it has said so for all
  std::vector<FlightGroup> groups;
  std::vector<int64_t> last_numbers;     // by group: of the last collective begun
  std::vector<CollectiveRecord> recent;  // oldest first
};

int64_t flight_now_ns();

struct FlightPage;

class FlightRecorder {
 public:
  FlightRecorder();
  ~FlightRecorder();
  FlightRecorder(const FlightRecorder&) = delete;
  FlightRecorder& operator=(const FlightRecorder&) = delete;

  /// Number of the new group. `members` are ranks of the whole run.
  int add_group(const std::string& name, const std::vector<int>& members);

  void begin(int group, FlightOperation operation, int64_t bytes);
  void end();
  void enter(RunPhase phase);
  RunPhase phase() const;
  void begin_step(int64_t step);
  void end_step();
  void note_overdue();
  void note_spoke();

  /// Time that this rank has spent in collectives so far, waiting for others included.
  int64_t collective_ns() const { return collective_ns_; }

  FlightSnapshot snapshot() const;
  /// The name of the file in kFlightFolder.
  const std::string& file() const { return file_; }

 private:
  void note_progress(int64_t now);
  FlightPage* page_;
  int descriptor_;
  std::string file_;
  int64_t next_ = 0;  // place of the next collective in the ring
  int64_t begun_ns_ = 0;
  int64_t step_begun_ns_ = 0;
  int64_t collective_ns_ = 0;
};

/// Another rank's page, read by its file's name. Stays readable when that process is gone.
class FlightReader {
 public:
  explicit FlightReader(const std::string& file);
  ~FlightReader();
  FlightReader(const FlightReader&) = delete;
  FlightReader& operator=(const FlightReader&) = delete;

  FlightSnapshot snapshot() const;

 private:
  const FlightPage* page_;
};

/// Enters a phase and returns to the one before. A null recorder is left alone.
class FlightPhase {
 public:
  FlightPhase(FlightRecorder* recorder, RunPhase phase);
  ~FlightPhase();
  FlightPhase(const FlightPhase&) = delete;
  FlightPhase& operator=(const FlightPhase&) = delete;

 private:
  FlightRecorder* recorder_;
  RunPhase before_;
};

}  // namespace phalanx
