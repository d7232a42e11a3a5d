#include "launch/train_output.h"

#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "launch/kernel_text.h"
#include "launch/plan_text.h"

namespace phalanx {
namespace {

std::string_view environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

ProgressOptions progress_options(const TrainOutput& output, double interval_seconds) {
  ProgressOptions options;
  options.interval = std::chrono::milliseconds(std::llround(1000 * interval_seconds));
  if (!output.for_people()) {
    options.style = ProgressStyle::kNone;
    return options;
  }
  const bool on_terminal = isatty(STDERR_FILENO) == 1 && environment("TERM") != "dumb";
  if (!on_terminal && !output.panel) return options;
  options.style = ProgressStyle::kPanel;
  options.colours = environment("NO_COLOR").empty();
  return options;
}

void print_plan(const TrainOutput& output, const MixturePlan& plan, const RunConfig& config,
                const std::vector<std::string>& warnings, const std::string& notes) {
  for (const std::string& warning : warnings) std::fprintf(stderr, "%s\n", warning.c_str());
  const std::string text = output.for_people() ? plan_text(plan, config) : "";
  std::fputs((text + notes).c_str(), stderr);
}

void print_machine(const TrainOutput& output, const std::string& memory, const RunConfig& config,
                   bool dry_run) {
  if (output.for_people() || memory.starts_with("warning: ")) {
    std::fprintf(stderr, "%s\n", memory.c_str());
  }
  if (!output.for_people() || dry_run) return;
  for (const std::string& line : kernel_lines(config)) std::fprintf(stderr, "%s\n", line.c_str());
}

void print_report(const TrainOutput& output, const RunConfig& config, const RunOutcome& outcome,
                  const ReportPlace& place) {
  if (output.json) {
    std::fputs((run_report_json(outcome, place) + "\n").c_str(), stdout);
  } else if (!output.quiet) {
    std::fputs(("\n" + run_report(config, outcome, place)).c_str(), stdout);
  }
}

}  // namespace phalanx
