#include "launch/plan_svg.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "data/mixture/apportion.h"
#include "data/mixture/plan_report.h"
#include "launch/svg_text.h"

namespace phalanx {
namespace {

constexpr double kWidth = 1000, kLeft = 62, kRight = 976, kTop = 92, kBottom = 440;
constexpr double kLegendLine = 19;
constexpr size_t kNamedEvents = 4;

/// What the picture is drawn of: sources by kind and weight, their colours, the scales.
class Picture {
 public:
  Picture(const MixturePlan& plan, const PlanCurve& curve) : plan_(plan), curve_(curve) {
    tokens_ = static_cast<double>(tokens_before(plan, plan.end_row()));
    for (const PlannedSpan& planned : plan.spans) {
      for (size_t k = 0; k < plan.num_sources(); ++k) {
        highest_ =
            std::max({highest_, weight(planned, k, 0), weight(planned, k, planned.num_rows)});
      }
    }
    y_step_ = round_up(highest_ / 6);
    highest_ = std::ceil(highest_ / y_step_ - 1e-9) * y_step_;
    legend_columns_ = plan.exhausted.empty() ? 4 : 3;
    sort_sources();
    pick_colours();
  }

  std::string draw(const std::string& title) const {
    const size_t lines = (order_.size() + legend_columns_ - 1) / legend_columns_;
    const double height = kBottom + 78 + static_cast<double>(lines) * kLegendLine;
    std::string text = svg_head(title, subtitle(), {kWidth, height, kLeft});
    text += y_axis() + x_axis() + phase_edges() + "<g class=\"series\">\n" + events();
    for (const size_t k : order_) text += dots(k);
    for (const size_t k : order_) text += line(k);
    return text + "</g>\n" + legend() + "</svg>\n";
  }

 private:
  bool synthetic(size_t k) const {
    return plan_.curriculum.sources[k].kind == SourceKind::kSynthetic;
  }
  static double weight(const PlannedSpan& planned, size_t k, int64_t row) {
    const auto from = static_cast<double>(planned.span.from[k]);
    const auto to = static_cast<double>(planned.span.to[k]);
    const double part = static_cast<double>(row) / static_cast<double>(planned.span.num_rows);
    return (from + (to - from) * part) / static_cast<double>(kUnit);
  }
  double x(int64_t token) const {
    return kLeft + (kRight - kLeft) * static_cast<double>(token) / tokens_;
  }
  double x_of_row(int64_t row) const { return x(tokens_before(plan_, row)); }
  double y(double share) const { return kBottom - (kBottom - kTop) * share / highest_; }

  int64_t rows_of(size_t k) const {
    int64_t rows = 0;
    for (const PlanStretch& stretch : curve_.stretches) rows += stretch.realised[k];
    return rows;
  }

  void sort_sources() {
    order_.resize(plan_.num_sources());
    std::iota(order_.begin(), order_.end(), 0);
    std::stable_sort(order_.begin(), order_.end(), [&](size_t a, size_t b) {
      if (synthetic(a) != synthetic(b)) return synthetic(b);
      return rows_of(a) > rows_of(b);
    });
  }

  /// Hues apart from each other inside the family of the kind, neighbours of another lightness.
  void pick_colours() {
    colours_.resize(plan_.num_sources());
    const auto count = [&](bool kind) {
      return std::count_if(order_.begin(), order_.end(),
                           [&](size_t k) { return synthetic(k) == kind; });
    };
    const std::array<double, 2> sizes{double(count(false)), double(count(true))};
    std::array<int, 2> next{0, 0};
    for (const size_t k : order_) {
      const bool kind = synthetic(k);
      const int i = next[kind ? 1 : 0]++;
      const double part = sizes[kind ? 1 : 0] > 1 ? i / (sizes[kind ? 1 : 0] - 1) : 0.35;
      const double hue = kind ? 320 + part * 90 : 230 - part * 120;
      colours_[k] = colour(std::fmod(hue, 360), i % 2 == 0 ? 0.44 : 0.54);
    }
  }

  std::string subtitle() const {
    return fmt::format(
        "{} tokens, {} steps. Lines: weights planned. Dots: share of the rows drawn, all of them "
        "counted, in {} stretches. Dashed: synthetic.",
        axis_text(tokens_), plan_.end_step() - plan_.start.step, curve_.stretches.size());
  }

  std::string y_axis() const {
    std::string text;
    for (double share = 0; share <= highest_ + 1e-9; share += y_step_) {
      text += fmt::format(
          "<path class=\"grid\" d=\"M{:.0f} {:.1f}H{:.0f}\"/>"
          "<text class=\"soft\" x=\"{:.0f}\" y=\"{:.1f}\" text-anchor=\"end\">{:g} %</text>\n",
          kLeft, y(share), kRight, kLeft - 7, y(share) + 4, std::round(share * 1e6) / 1e4);
    }
    return text;
  }

  std::string x_axis() const {
    std::string text;
    const double step = round_up(tokens_ / 10);
    for (double token = 0; token <= tokens_ * (1 + 1e-9); token += step) {
      const double at = kLeft + (kRight - kLeft) * token / tokens_;
      text += fmt::format(
          "<path class=\"edge\" d=\"M{0:.1f} {1:.0f}v5\"/><text class=\"soft\" x=\"{0:.1f}\" "
          "y=\"{2:.0f}\" text-anchor=\"middle\">{3}</text>\n",
          at, kBottom, kBottom + 19, axis_text(token));
    }
    return text + fmt::format(
                      "<text class=\"soft\" x=\"{:.0f}\" y=\"{:.0f}\" text-anchor=\"end\">tokens, "
                      "padding included</text>\n",
                      kRight, kBottom + 36);
  }

  std::string phase_label(size_t p, bool begins_stage) const {
    const PlanPhase& phase = plan_.phases[p];
    const CurriculumStage& stage = plan_.curriculum.stages[static_cast<size_t>(phase.stage)];
    const std::string& name = stage.phases[static_cast<size_t>(phase.phase)].name;
    if (!begins_stage) return name;
    return fmt::format("{}/{}, rows of {}", stage.name, name, stage.sequence_length);
  }

  /// Names stand in two lines by turns, to the right of where the phase begins or, without room
  /// there, to its left; a stage's first phase names its row length as well.
  std::string phase_edges() const {
    std::string text;
    std::array<double, 2> taken{0, 0};
    for (size_t p = 0; p < plan_.phases.size(); ++p) {
      const bool begins_stage = p == 0 || plan_.phases[p - 1].stage != plan_.phases[p].stage;
      const std::string name = phase_label(p, begins_stage);
      const double at = x_of_row(plan_.phases[p].first_row);
      const double end = x_of_row(plan_.phases[std::min(p + 1, plan_.phases.size() - 1)].end_row);
      const double width = static_cast<double>(name.size()) * kLetterWidth + 8;
      const bool left = end - at < width && at - taken[p % 2] > width;
      const std::string shown = shortened(name, left ? width : end - at - 8);
      taken[p % 2] = left ? at : at + static_cast<double>(shown.size()) * kLetterWidth + 8;
      const double top = p % 2 == 0 ? kTop - 30 : kTop - 15;
      text += fmt::format(
          "<path class=\"edge\" d=\"M{:.1f} {:.0f}V{:.0f}\"/><text class=\"ink\" x=\"{:.1f}\" "
          "y=\"{:.0f}\" text-anchor=\"{}\">{}<title>{}</title></text>\n",
          at, top, kBottom, left ? at - 4 : at + 4, top + 10, left ? "end" : "start",
          escaped(shown), escaped(name));
    }
    return text;
  }

  /// Lines where sources run out, named while there are few of them; the legend names all.
  std::string events() const {
    std::string text;
    double line = 0;
    for (const Exhaustion& event : plan_.exhausted) {
      const auto k = static_cast<size_t>(event.source);
      const double at = x_of_row(event.row);
      text += fmt::format(
          "<path d=\"M{:.1f} {:.0f}V{:.0f}\" stroke=\"{}\" stroke-dasharray=\"2 3\"/>\n", at, kTop,
          kBottom, colours_[k]);
      if (plan_.exhausted.size() > kNamedEvents) continue;
      const bool left = at > kRight - 150;
      text += fmt::format(
          "<text fill=\"{}\" x=\"{:.1f}\" y=\"{:.0f}\" text-anchor=\"{}\">{} runs out</text>\n",
          colours_[k], left ? at - 5 : at + 5, kTop + 14 + 15 * line++, left ? "end" : "start",
          escaped(plan_.sources[k].name));
    }
    return text;
  }

  std::string legend_note(size_t k) const {
    std::string note = fmt::format("{:.2f} %", 100 * token_share(k));
    for (const Exhaustion& event : plan_.exhausted) {
      if (static_cast<size_t>(event.source) != k) continue;
      note += ", out at " + axis_text(static_cast<double>(tokens_before(plan_, event.row)));
    }
    return note;
  }

  std::string dots(size_t k) const {
    std::string path;
    for (const PlanStretch& stretch : curve_.stretches) {
      if (stretch.realised[k] == 0 && stretch.planned[k] == 0) continue;
      const double share = static_cast<double>(stretch.realised[k]) /
                           static_cast<double>(stretch.end_row - stretch.first_row);
      const double middle = (x(stretch.first_token) + x(stretch.end_token)) / 2;
      // A dot too high for the scale (short stretches) stays on its edge.
      path += fmt::format("M{:.1f} {:.1f}h.01", middle, y(std::min(share, highest_)));
    }
    if (path.empty()) return "";
    return fmt::format(
        "<path fill=\"none\" stroke=\"{}\" stroke-width=\"{}\" stroke-linecap=\"round\" "
        "stroke-opacity=\".55\" d=\"{}\"/>\n",
        colours_[k], order_.size() > 12 ? "3.5" : "5", path);
  }

  std::string line(size_t k) const {
    std::string path;
    double last_x = -1, last_y = -1;
    for (const PlannedSpan& planned : plan_.spans) {
      const double from = weight(planned, k, 0), to = weight(planned, k, planned.num_rows);
      if (from == 0 && to == 0) continue;
      const double begin = x_of_row(planned.span.first_row);
      const double end = x_of_row(planned.span.first_row + planned.num_rows);
      const bool joined = begin == last_x && std::abs(y(from) - last_y) < 0.05;
      if (!joined) path += fmt::format("M{:.1f} {:.1f}", begin, y(from));
      path += fmt::format("L{:.1f} {:.1f}", end, y(to));
      last_x = end;
      last_y = y(to);
    }
    if (path.empty()) return "";
    return fmt::format(
        "<path fill=\"none\" stroke=\"{}\" stroke-width=\"{}\"{} "
        "d=\"{}\"><title>{}</title></path>\n",
        colours_[k], order_.size() > 12 ? "1.4" : "2",
        synthetic(k) ? " stroke-dasharray=\"7 4\"" : "", path, escaped(plan_.sources[k].name));
  }

  /// Column by column, each with its share of all rows x T.
  std::string legend() const {
    std::string text;
    const auto count = static_cast<int64_t>(order_.size());
    const int64_t lines = (count + legend_columns_ - 1) / legend_columns_;
    const double width = (kRight - kLeft) / double(legend_columns_);
    for (int64_t i = 0; i < count; ++i) {
      const size_t k = order_[static_cast<size_t>(i)];
      const int64_t column = i / lines;
      const double left = kLeft + static_cast<double>(column) * width;
      const double at = kBottom + 62 + double(i % lines) * kLegendLine;
      const std::string note = legend_note(k);
      text += fmt::format(
          "<path class=\"series\" stroke=\"{0}\" stroke-width=\"2\"{1} d=\"M{2:.0f} "
          "{3:.1f}h26\"/><text "
          "class=\"ink\" x=\"{4:.0f}\" y=\"{5:.1f}\">{6}<title>{7}</title><tspan class=\"soft\"> "
          "{8}</tspan></text>\n",
          colours_[k], synthetic(k) ? " stroke-dasharray=\"7 4\"" : "", left, at - 4, left + 33, at,
          escaped(shortened(plan_.sources[k].name, width - 45 - 6.2 * double(note.size()))),
          escaped(plan_.sources[k].name), note);
    }
    return text;
  }

  double token_share(size_t k) const {
    double tokens = 0;
    for (const PlanStretch& stretch : curve_.stretches) {
      tokens += static_cast<double>(stretch.realised[k]) *
                static_cast<double>(stretch.end_token - stretch.first_token) /
                static_cast<double>(stretch.end_row - stretch.first_row);
    }
    return tokens / tokens_;
  }

  const MixturePlan& plan_;
  const PlanCurve& curve_;
  double tokens_ = 1, highest_ = 0, y_step_ = 0;
  int64_t legend_columns_ = 4;
  std::vector<size_t> order_;         // organic first, then by rows
  std::vector<std::string> colours_;  // by source
};

}  // namespace

std::string plan_svg(const MixturePlan& plan, const PlanCurve& curve, const std::string& title) {
  if (curve.stretches.empty()) {
    return svg_head(title, "Nothing is left to train: there is no plan to draw.",
                    {kWidth, kTop, kLeft}) +
           "</svg>\n";
  }
  return Picture(plan, curve).draw(title);
}

int64_t svg_stretches(size_t num_sources) {
  return std::clamp<int64_t>(3000 / static_cast<int64_t>(num_sources), 50, 160);
}

}  // namespace phalanx
