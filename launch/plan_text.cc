#include "launch/plan_text.h"

#include <fmt/format.h>

#include "launch/counted.h"
#include "trainer/metrics/progress_text.h"

namespace phalanx {
namespace {

/// Repeating organic text up to about so often costs little (Muennighoff et al., 2023,
/// arXiv:2305.16264).
constexpr double kManyEpochs = 4.0;

constexpr const char* kNothingLeft =
    "nothing is left to train: the curriculum ends where the run stands";

std::string tokens_text(int64_t tokens) { return count_text(static_cast<double>(tokens)); }

/// `8`, or `8, 16, 32` where the batch grows on the way.
std::string batch_text(const MixturePlan& plan, int64_t first_row, int64_t end_row) {
  std::string text;
  for (const StepSpan& span : plan.steps) {
    if (span.end_row <= first_row || span.first_row >= end_row) continue;
    text += fmt::format("{}{}", text.empty() ? "" : ", ", span.rows_per_step);
  }
  return text;
}

std::string stage_text(const MixturePlan& plan, const RunConfig& config, int32_t stage) {
  const StageConfig& settings = config.stages[static_cast<size_t>(stage)];
  int64_t first_row = -1, end_row = -1, first_step = 0, end_step = 0;
  for (const StepSpan& span : plan.steps) {
    if (span.stage != stage) continue;
    if (first_row < 0) {
      first_row = span.first_row;
      first_step = span.first_step;
    }
    end_row = span.end_row;
    end_step = span.first_step + (span.end_row - span.first_row) / span.rows_per_step;
  }
  if (first_row < 0) return "";  // lies before a changed curriculum
  return fmt::format(
      "  stage {}: steps {}-{}, {} tokens, rows of {}, rope_theta {:g}, {} rows a step, {} a "
      "forward pass\n",
      settings.name, first_step + 1, end_step,
      tokens_text((end_row - first_row) * settings.sequence_length), settings.sequence_length,
      settings.rope_theta, batch_text(plan, first_row, end_row), settings.micro_batch_size);
}

std::string phase_text(const MixturePlan& plan, const PlanReport& report,
                       const PhaseReport& phase) {
  std::string text = fmt::format(
      "  {}/{}: steps {}-{} of {} rows, {} tokens of rows of {}\n", phase.stage, phase.phase,
      phase.first_step + 1, phase.last_step + 1, batch_text(plan, phase.first_row, phase.end_row),
      tokens_text(phase.tokens), phase.sequence_length);
  for (size_t s = 0; s < phase.sources.size(); ++s) {
    const PhaseShare& share = phase.sources[s];
    if (share.rows == 0) continue;
    text +=
        fmt::format("    {:<16} {:>14} tokens {:>6.2f} %  epochs {:.2f} -> {:.2f}  steps {}-{}\n",
                    report.sources[s].name, share.tokens, 100.0 * share.share, share.first_epoch,
                    share.end_epoch, share.first_step + 1, share.last_step + 1);
  }
  return text;
}

std::string totals_text(const PlanReport& report) {
  std::string text = fmt::format("  {:<18} {:<10} {:>14} {:>8} {:>8} {:>7} {:>11}\n", "in all",
                                 "kind", "tokens", "share", "epochs", "cap", "one epoch");
  for (const SourceReport& source : report.sources) {
    const double share = static_cast<double>(source.tokens) / static_cast<double>(report.tokens);
    text += fmt::format("    {:<16} {:<10} {:>14} {:>6.2f} % {:>8.2f} {:>7g} {:>11}\n", source.name,
                        name_of(source.kind), source.tokens, 100.0 * share, source.epochs,
                        source.max_epochs, tokens_text(source.epoch_tokens));
  }
  return text;
}

}  // namespace

std::vector<std::string> plan_notes(const PlanReport& report) {
  if (report.num_steps == 0) return {kNothingLeft};
  std::vector<std::string> notes;
  for (const SourceReport& source : report.sources) {
    if (source.tokens == 0) notes.push_back(fmt::format("{} is never drawn", source.name));
    if (source.kind == SourceKind::kOrganic && source.epochs > kManyEpochs) {
      notes.push_back(fmt::format("{} is organic and read {:.2f} times, more than {:g}",
                                  source.name, source.epochs, kManyEpochs));
    }
    if (source.repeat_tokens > 0) {
      notes.push_back(fmt::format("{}: up to {} of its tokens are read again at another length",
                                  source.name, tokens_text(source.repeat_tokens)));
    }
  }
  return notes;
}

std::string plan_text(const MixturePlan& plan, const RunConfig& config) {
  const PlanReport report = describe_plan(plan);
  std::string text = fmt::format("plan: {}, {} tokens", counted(report.num_steps, "step"),
                                 tokens_text(report.tokens));
  if (plan.start.step > 0) text += fmt::format(", from step {} on", plan.start.step + 1);
  text += '\n';
  int32_t stage = -1;
  for (size_t p = 0; p < report.phases.size(); ++p) {
    while (stage < plan.phases[p].stage) text += stage_text(plan, config, ++stage);
    text += phase_text(plan, report, report.phases[p]);
  }
  if (report.tokens > 0) text += totals_text(report);
  for (const ExhaustionReport& event : report.exhausted) {
    text +=
        fmt::format("  {} runs out in {} at step {}, after {} tokens; the others take its share\n",
                    event.source, event.phase, event.step + 1, tokens_text(event.tokens));
  }
  for (const std::string& note : plan_notes(report)) text += fmt::format("  note: {}\n", note);
  return text;
}

}  // namespace phalanx
