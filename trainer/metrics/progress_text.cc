#include "trainer/metrics/progress_text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

namespace phalanx {
namespace {

/// Less waiting for data than this share of a step needs no place in a line of a log.
constexpr double kWorthSaying = 0.01;
/// More than that slows the run down visibly.
constexpr double kMuchWaiting = 0.1;

struct Weight {
  std::string source;
  double share = 0.0;
};

/// What the plan draws from, the largest first.
std::vector<Weight> weights_of(const StepRecord& record,
                               const std::vector<CurriculumSource>& sources) {
  std::vector<Weight> weights;
  for (size_t s = 0; s < sources.size(); ++s) {
    if (record.source_weights[s] > 0) {
      weights.push_back({sources[s].name, record.source_weights[s]});
    }
  }
  std::stable_sort(weights.begin(), weights.end(),
                   [](const Weight& a, const Weight& b) { return a.share > b.share; });
  return weights;
}

std::string weight_text(const Weight& weight) {
  return fmt::format("{} {:.1f} %", weight.source, 100 * weight.share);
}

/// Each kind's loss, where the run has more than one; a kind that the step had nothing of has none.
std::vector<std::string> kind_losses(const StepRecord& record,
                                     const std::vector<CurriculumSource>& sources) {
  const std::vector<KindSums> kinds = sums_by_kind(record, sources);
  std::vector<std::string> texts;
  if (kinds.size() < 2) return texts;
  for (const KindSums& sums : kinds) {
    texts.push_back(sums.targets > 0
                        ? fmt::format("{} {:.4f}", name_of(sums.kind), sums.nats / sums.targets)
                        : fmt::format("{} -", name_of(sums.kind)));
  }
  return texts;
}

double part_done(const StepRecord& record) {
  if (record.num_tokens == 0) return 1.0;
  return std::clamp(double(record.tokens) / double(record.num_tokens), 0.0, 1.0);
}

void add_value(PanelLine& line, const std::string& label, const std::string& value,
               Style style = Style::kPlain) {
  if (!line.empty()) line.push_back({"  "});
  if (!label.empty()) line.push_back({label + " ", Style::kLabel});
  line.push_back({value, style});
}

PanelLine place_line(const StepRecord& record, const Pace& pace, size_t columns) {
  const std::string head = fmt::format("step {}/{}", record.step, record.num_steps);
  const std::string tail =
      fmt::format("{:.1f} %  {} left", 100 * part_done(record), duration_text(pace.seconds_left));
  constexpr size_t kAround = 6;  // two spaces on either side, and brackets
  const size_t taken = head.size() + tail.size() + kAround;
  if (columns < taken + 4) return {{head + "  " + tail, Style::kStrong}};
  const size_t length = columns - taken;
  const auto full = static_cast<size_t>(part_done(record) * double(length));
  return {{head, Style::kStrong},
          {"  [", Style::kLabel},
          {std::string(full, '='), Style::kGood},
          {std::string(length - full, '.'), Style::kLabel},
          {"]  ", Style::kLabel},
          {tail}};
}

PanelLine loss_line(const StepRecord& record, const std::vector<CurriculumSource>& sources) {
  PanelLine line;
  add_value(line, "loss", fmt::format("{:.4f}", record.result.loss), Style::kStrong);
  for (const std::string& text : kind_losses(record, sources)) {
    const size_t space = text.find(' ');
    add_value(line, text.substr(0, space), text.substr(space + 1));
  }
  add_value(line, "norm", fmt::format("{:.3f}", record.result.grad_norm));
  add_value(line, "lr", fmt::format("{:.2e}", record.learning_rate));
  if (record.skipped_steps > 0) {
    add_value(line, "skipped", std::to_string(record.skipped_steps), Style::kWarning);
  }
  return line;
}

PanelLine speed_line(const StepRecord& record, const Pace& pace) {
  PanelLine line;
  add_value(line, "", count_text(pace.tokens_per_second) + " tok/s");
  if (const auto mfu = mfu_at(record, pace.tokens_per_second)) {
    add_value(line, "MFU", fmt::format("{:.1f} %", 100 * *mfu));
  }
  const double waiting = data_wait_share(record.data_wait_seconds, record.seconds);
  add_value(line, "data wait", fmt::format("{:.0f} %", 100 * waiting),
            waiting > kMuchWaiting ? Style::kWarning : Style::kPlain);
  add_value(line, "memory",
            fmt::format("{:.2f} GiB", double(record.peak_memory_bytes) / double(1 << 30)));
  add_value(line, "tokens",
            fmt::format("{}/{}", count_text(double(record.tokens)),
                        count_text(double(record.num_tokens))));
  if (record.saving) add_value(line, "", "saving", Style::kGood);
  return line;
}

/// As many weights as fit, then how many more there are.
PanelLine weight_line(const StepRecord& record, const std::vector<CurriculumSource>& sources,
                      size_t columns) {
  PanelLine line;
  add_value(line, "phase", record.phase);
  const std::vector<Weight> weights = weights_of(record, sources);
  for (size_t i = 0; i < weights.size(); ++i) {
    const std::string share = fmt::format("{:.1f} %", 100 * weights[i].share);
    const std::string more = fmt::format("and {} more", weights.size() - i - 1);
    const size_t width = width_of(line) + 2 + weights[i].source.size() + 1 + share.size();
    const bool is_last = i + 1 == weights.size();
    if (width + (is_last ? 0 : 2 + more.size()) > columns) {
      add_value(line, "", fmt::format("and {} more", weights.size() - i));
      break;
    }
    add_value(line, weights[i].source, share);
  }
  return line;
}

}  // namespace

std::string duration_text(double seconds) {
  const int64_t s = std::llround(seconds);
  if (s < 120) return fmt::format("{}s", s);
  if (s < 2 * 3600) return fmt::format("{}m{:02}s", s / 60, s % 60);
  if (s < 48 * 3600) return fmt::format("{}h{:02}m", s / 3600, s / 60 % 60);
  return fmt::format("{}d{:02}h", s / 86400, s / 3600 % 24);
}

std::string count_text(double count) {
  // What would round up to a thousand takes the next unit.
  if (count < 999.5) return fmt::format("{:.0f}", count);
  if (count < 999'950) return fmt::format("{:.1f}K", count / 1e3);
  if (count < 999'995'000) return fmt::format("{:.2f}M", count / 1e6);
  if (count < 999'995'000'000) return fmt::format("{:.2f}B", count / 1e9);
  return fmt::format("{:.2f}T", count / 1e12);
}

std::string progress_text(const StepRecord& record, const std::vector<CurriculumSource>& sources,
                          const Pace& pace) {
  const double waiting = data_wait_share(record.data_wait_seconds, record.seconds);
  std::string text =
      fmt::format("step {}/{}  tokens {}  loss {:.4f}", record.step, record.num_steps,
                  count_text(double(record.tokens)), record.result.loss);
  const std::vector<std::string> kinds = kind_losses(record, sources);
  if (!kinds.empty()) text += fmt::format(" ({})", fmt::join(kinds, ", "));
  text += fmt::format("  norm {:.3f}  lr {:.2e}  {} tok/s", record.result.grad_norm,
                      record.learning_rate, count_text(pace.tokens_per_second));
  if (const auto mfu = mfu_at(record, pace.tokens_per_second)) {
    text += fmt::format("  MFU {:.1f} %", 100 * *mfu);
  }
  if (waiting >= kWorthSaying) text += fmt::format("  data wait {:.0f} %", 100 * waiting);
  if (record.skipped_steps > 0) text += fmt::format("  skipped {}", record.skipped_steps);
  text += fmt::format("  {} left  {}:", duration_text(pace.seconds_left), record.phase);
  std::vector<std::string> weights;
  for (const Weight& weight : weights_of(record, sources)) weights.push_back(weight_text(weight));
  return text + fmt::format(" {}", fmt::join(weights, ", "));
}

std::vector<PanelLine> panel_lines(const StepRecord& record,
                                   const std::vector<CurriculumSource>& sources, const Pace& pace,
                                   size_t columns) {
  return {place_line(record, pace, columns), loss_line(record, sources), speed_line(record, pace),
          weight_line(record, sources, columns)};
}

std::string validation_text(int64_t step, const std::string& source,
                            const ValidationResult& result) {
  return fmt::format("step {}  validation {}  loss {:.4f}  bits per byte {:.4f}", step, source,
                     result.loss, result.bits_per_byte);
}

}  // namespace phalanx
