#pragma once
// The run for TensorBoard: one event file an attempt in a folder, with the values of metrics.jsonl
// under tags (trainer/METRICS.md). Local: the first rank only. What an earlier attempt wrote of
// steps that were lost or passed over is dropped by readers. Errors: std::system_error naming the
// file or folder.
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "trainer/metrics/event_file.h"
#include "trainer/metrics/step_record.h"

namespace phalanx {

struct EventLogStart {
  int64_t first_step = 0;  // earlier attempts' values of it and of later steps do not count
  int64_t attempt = 0;
  std::string config_yaml;  // shown as text; may be empty
};

class EventLog {
 public:
  EventLog(const std::filesystem::path& folder, std::vector<CurriculumSource> sources,
           const EventLogStart& start);

  void write(const StepRecord& record);

 private:
  EventFile file_;
  std::vector<CurriculumSource> sources_;
  std::string phase_;  // of the last step
};

/// The step's values by tag; those of validation_before, which belong to step 0, left out.
[[nodiscard]] std::vector<TaggedValue> tagged_values(const StepRecord& record,
                                                     const std::vector<CurriculumSource>& sources);

}  // namespace phalanx
