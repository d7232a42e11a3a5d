#include "launch/run_report.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "data/mixture/plan_report.h"
#include "launch/counted.h"
#include "trainer/metrics/metrics.h"
#include "trainer/metrics/progress_text.h"
#include "trainer/step_marks.h"

namespace phalanx {
namespace {

std::string bits_text(const RunOutcome& outcome, const std::string& source) {
  const auto start = outcome.state.start_bits_per_byte.find(source);
  const auto end = outcome.validation.find(source);
  const bool has_start = start != outcome.state.start_bits_per_byte.end();
  const bool has_end = end != outcome.validation.end();
  if (!has_start && !has_end) return "no held-out part";
  return fmt::format("{} -> {}", has_start ? fmt::format("{:.4f}", start->second) : "(added later)",
                     has_end ? fmt::format("{:.4f}", end->second.bits_per_byte) : "(not measured)");
}

/// There is no speed of a start that had nothing left to train, or was stopped before its first
/// step.
std::string speed_text(const RunConfig& config, const RunOutcome& outcome, int num_ranks) {
  if (outcome.tokens_per_second == 0) {
    return fmt::format("speed        none: {}\n", outcome.stopped ? "stopped before the first step"
                                                                  : "nothing was left to train");
  }
  return fmt::format("speed        {} tokens/s on {}, {} parameters; data wait {:.1f} %\n",
                     count_text(outcome.tokens_per_second), counted(num_ranks, "rank"),
                     num_parameters(config.model.shape), 100 * outcome.data_wait_share);
}

/// Of this attempt; nothing where all went as it should.
std::string saves_text(const SaveCounts& saves) {
  if (saves.skipped + saves.failed == 0) return "";
  return fmt::format(
      "             {} saved; {} skipped, since the one before was still being written; {} "
      "failed\n",
      saves.saved, saves.skipped, saves.failed);
}

}  // namespace

std::string run_report(const RunConfig& config, const RunOutcome& outcome,
                       const ReportPlace& place) {
  const MixturePlan& plan = *outcome.plan;
  const PlanReport report = describe_plan(plan);
  std::string text = fmt::format("{} {} after step {} of {}, {} tokens\n\n", place.run_folder,
                                 outcome.stopped ? "stopped" : "finished", outcome.state.step,
                                 plan.end_step(), count_text(double(outcome.state.tokens)));
  text += fmt::format("{:<14} {:<10} {:>12} {:>12} {:>8}   {}\n", "source", "kind", "planned",
                      "achieved", "epochs", "bits per byte, start -> now");
  const std::vector<double> epochs = epochs_of(plan, outcome.state.cursor.taken);
  for (size_t s = 0; s < plan.num_sources(); ++s) {
    const SourceReport& source = report.sources[s];
    text += fmt::format("{:<14} {:<10} {:>12} {:>12} {:>8.2f}   {}\n", source.name,
                        name_of(source.kind), source.tokens_before + source.tokens,
                        tokens_given(outcome.state.cursor, source.name), epochs[s],
                        bits_text(outcome, source.name));
  }
  text += fmt::format("\n{}", speed_text(config, outcome, place.num_ranks));
  text += outcome.checkpoint.empty()
              ? "checkpoints  none: nothing was trained\n"
              : fmt::format("checkpoints  {}/checkpoints, the newest {}\n", place.run_folder,
                            outcome.checkpoint.filename().string());
  text += saves_text(outcome.saves);
  text += fmt::format("metrics      {}/metrics.jsonl\n", place.run_folder);
  text += fmt::format("resume       {}\n", place.resume_line);
  return text;
}

std::string run_report_json(const RunOutcome& outcome, const ReportPlace& place) {
  nlohmann::ordered_json json{{"state", outcome.stopped ? "stopped" : "finished"},
                              {"run", place.run_folder},
                              {"step", outcome.state.step},
                              {"num_steps", outcome.plan->end_step()},
                              {"tokens", outcome.state.tokens},
                              {"tokens_per_second", nullptr},
                              {"data_wait_share", outcome.data_wait_share},
                              {"validation", validation_json(outcome.validation)},
                              {"checkpoint", outcome.checkpoint.string()},
                              {"resume", place.resume_line}};
  if (outcome.stopped) json["reason"] = outcome.stop_reason;
  if (outcome.tokens_per_second > 0) json["tokens_per_second"] = outcome.tokens_per_second;
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace phalanx
