#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "launch/plan_text.h"
#include "trainer/metrics/progress_text.h"

namespace phalanx {
namespace {

constexpr int64_t kChartLines = 20;
constexpr char kOthers = '*';

int64_t rows_of(const PlanCurve& curve, size_t source) {
  int64_t rows = 0;
  for (const PlanStretch& stretch : curve.stretches) rows += stretch.realised[source];
  return rows;
}

/// Sources from the bottom of the chart to its top, with their letters: organic ones first, the
/// larger the lower. Those beyond the alphabet share one letter.
struct Stack {
  std::vector<size_t> order;
  std::vector<char> letters;  // by source
};

Stack make_stack(const MixturePlan& plan, const PlanCurve& curve) {
  const auto& sources = plan.curriculum.sources;
  std::vector<int64_t> rows;
  for (size_t k = 0; k < sources.size(); ++k) rows.push_back(rows_of(curve, k));
  Stack stack{std::vector<size_t>(sources.size()), std::vector<char>(sources.size(), kOthers)};
  std::iota(stack.order.begin(), stack.order.end(), 0);
  std::stable_sort(stack.order.begin(), stack.order.end(), [&](size_t a, size_t b) {
    if (sources[a].kind != sources[b].kind) return sources[a].kind == SourceKind::kOrganic;
    return rows[a] > rows[b];
  });
  char organic = 'a', synthetic = 'A';
  for (const size_t k : stack.order) {
    char& letter = sources[k].kind == SourceKind::kSynthetic ? synthetic : organic;
    if (letter != 'z' + 1 && letter != 'Z' + 1) stack.letters[k] = letter++;
  }
  return stack;
}

const PlanStretch& stretch_at(const PlanCurve& curve, int64_t column) {
  const double tokens = static_cast<double>(curve.stretches.back().end_token);
  const double token =
      (static_cast<double>(column) + 0.5) / static_cast<double>(kChartColumns) * tokens;
  for (const PlanStretch& stretch : curve.stretches) {
    if (token < static_cast<double>(stretch.end_token)) return stretch;
  }
  return curve.stretches.back();
}

/// One column, bottom first.
std::string column_text(const PlanStretch& stretch, const Stack& stack) {
  const auto rows = static_cast<double>(stretch.end_row - stretch.first_row);
  std::string cells;
  double below = 0;
  for (const size_t k : stack.order) {
    below += static_cast<double>(stretch.realised[k]);
    const auto top = static_cast<size_t>(std::lround(below / rows * double(kChartLines)));
    cells.resize(std::max(cells.size(), top), stack.letters[k]);
  }
  return cells;
}

/// A mark below the chart where each phase begins, and the names where there is room.
std::string phase_lines(const MixturePlan& plan, const PlanCurve& curve) {
  const double tokens = static_cast<double>(curve.stretches.back().end_token);
  std::string marks(static_cast<size_t>(kChartColumns), '-');
  std::string names(static_cast<size_t>(kChartColumns) + 16, ' ');
  size_t free = 0;
  for (const PlanPhase& phase : plan.phases) {
    const auto begin = static_cast<double>(tokens_before(plan, phase.first_row));
    const auto column =
        std::min(static_cast<size_t>(begin / tokens * double(kChartColumns)), marks.size() - 1);
    marks[column] = '+';
    const CurriculumStage& stage = plan.curriculum.stages[static_cast<size_t>(phase.stage)];
    const std::string& name = stage.phases[static_cast<size_t>(phase.phase)].name;
    if (column < free || column + name.size() > names.size()) continue;
    names.replace(column, name.size(), name);
    free = column + name.size() + 1;
  }
  names.resize(names.find_last_not_of(' ') + 1);
  return fmt::format("      0 +{}\n         {}\n         0{:>{}} tokens\n", marks, names,
                     count_text(tokens), kChartColumns - 1);
}

std::string legend_text(const MixturePlan& plan, const Stack& stack) {
  std::string text, line;
  for (const size_t k : stack.order) {
    const CurriculumSource& source = plan.curriculum.sources[k];
    const std::string entry = fmt::format("  {} {}", stack.letters[k], source.name);
    if (line.size() + entry.size() > 80) text += std::exchange(line, "       ") + "\n";
    if (line.empty()) line = "       ";
    line += entry;
  }
  return text + line + "\n         capitals: synthetic\n";
}

std::string phase_comparison(const MixturePlan& plan, const PlanCurve& curve, size_t phase,
                             const Stack& stack) {
  const size_t num_sources = plan.num_sources();
  std::vector<double> planned(num_sources, 0.0);
  std::vector<int64_t> drawn(num_sources, 0);
  double rows = 0;
  for (const PlanStretch& stretch : curve.stretches) {
    if (stretch.phase != phase) continue;
    const auto count = static_cast<double>(stretch.end_row - stretch.first_row);
    rows += count;
    for (size_t k = 0; k < num_sources; ++k) {
      planned[k] += stretch.planned[k] * count;
      drawn[k] += stretch.realised[k];
    }
  }
  std::string text = fmt::format("  {}\n", phase_name(plan, plan.phases[phase].first_row));
  for (const size_t k : stack.order) {
    if (planned[k] == 0 && drawn[k] == 0) continue;
    text += fmt::format("    {} {:<16} {:>8.4f} % {:>8.4f} % {:>14} rows {:>+6.2f}\n",
                        stack.letters[k], plan.sources[k].name, 100 * planned[k] / rows,
                        100 * static_cast<double>(drawn[k]) / rows, drawn[k],
                        static_cast<double>(drawn[k]) - planned[k]);
  }
  return text;
}

std::string gap_text(const MixturePlan& plan, const PlanCurve& curve) {
  const LargestGap& gap = curve.gap;
  std::string text = fmt::format(
      "every row is counted; at {} places the draws are at most {:.2f} rows from the exact weights",
      curve.stretches.size(), gap.rows);
  if (gap.rows > 0) {
    text += fmt::format(" ({}, before row {})", plan.sources[gap.source].name, gap.row);
  }
  return text + "\n";
}

}  // namespace

std::string chart_text(const MixturePlan& plan, const PlanCurve& curve) {
  if (curve.stretches.empty()) return "";
  const Stack stack = make_stack(plan, curve);
  std::vector<std::string> columns;
  for (int64_t c = 0; c < kChartColumns; ++c) {
    columns.push_back(column_text(stretch_at(curve, c), stack));
  }
  std::string text = "share of the rows drawn, percent\n";
  for (int64_t line = kChartLines; line-- > 0;) {
    const bool labelled = (line + 1) % 5 == 0;
    text += labelled ? fmt::format("    {:>3} |", (line + 1) * 100 / kChartLines) : "        |";
    for (const std::string& column : columns) text += column[static_cast<size_t>(line)];
    text += '\n';
  }
  text += phase_lines(plan, curve) + legend_text(plan, stack);
  text += fmt::format("\n{:<25} {:>10} {:>10} {:>19} {:>6}\n", "weights and draws", "planned",
                      "drawn", "", "apart");
  for (size_t p = 0; p < plan.phases.size(); ++p) text += phase_comparison(plan, curve, p, stack);
  return text + gap_text(plan, curve);
}

}  // namespace phalanx
