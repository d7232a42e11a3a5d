#pragma once
// What the first rank records of each step and shows of it: metrics.jsonl, TensorBoard's event
// file, the panel or lines of progress.
//
// Local: on other ranks nothing happens. Errors: the constructor throws std::system_error with the
// path; a step that cannot be written is kept until take_failure(), so that all ranks can hear of
// it at the same step.
#include <exception>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "trainer/metrics/event_log.h"
#include "trainer/metrics/metrics.h"
#include "trainer/metrics/progress.h"

namespace phalanx {

struct RecordPlace {
  std::filesystem::path run_folder;
  ProgressOptions progress;
  MetricsEcho echo = MetricsEcho::kNone;
  bool event_files = true;  // RUN/tensorboard
  EventLogStart start;      // of this attempt
};

class RunRecords {
 public:
  /// `sources` are the run's, in name order.
  RunRecords(bool is_first_rank, const RecordPlace& place,
             const std::vector<CurriculumSource>& sources);

  void add(const StepRecord& record);
  void note(const std::string& text);
  /// Null if there was none since the last call.
  std::exception_ptr take_failure() { return std::exchange(failure_, nullptr); }

 private:
  std::unique_ptr<Metrics> metrics_;
  std::unique_ptr<EventLog> events_;
  std::unique_ptr<Progress> progress_;
  std::exception_ptr failure_;
};

}  // namespace phalanx
