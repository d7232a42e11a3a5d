#include "launch/experiment/run_state.h"

#include <fmt/format.h>

#include <fstream>

#include "configs/field_list.h"
#include "launch/report/run_summary.h"

namespace phalanx {
namespace {

/// The first field that decides results and has another value in the folder.
std::string difference(const RunSummary& found, const ExperimentRun& run) {
  for (const FieldValue& field : field_values(run.config.run)) {
    if (field.tag == Tag::kFree) continue;
    const auto value = found.config.find(field.path);
    const std::string there = value == found.config.end() ? "not set" : value->second;
    if (there == field.value) continue;
    return fmt::format(
        "{}: {} is {} there and {} in the experiment: remove the folder, or give the experiment "
        "another name",
        found.folder.string(), field.path, there, field.value);
  }
  return "";
}

}  // namespace

ExperimentRunState state_of(const ExperimentPlace& place, const ExperimentRun& run) {
  const RunSummary found = read_run_summary(place.run(run));
  if (found.config.empty()) return {};
  const std::string problem = difference(found, run);
  if (!problem.empty()) return {RunProgress::kOther, problem};
  if (is_complete(found)) return {RunProgress::kDone, ""};
  return {found.steps > 0 ? RunProgress::kBegun : RunProgress::kNotBegun, ""};
}

std::string last_message(const std::filesystem::path& log) {
  const std::string name = "phalanx: ";
  std::ifstream file(log);
  std::string last;
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(name)) continue;
    const std::string text = line.substr(name.size());
    for (const char* kind : {"error", "internal error", "hang"}) {
      if (text.starts_with(kind)) last = text;
    }
  }
  return last;
}

}  // namespace phalanx
