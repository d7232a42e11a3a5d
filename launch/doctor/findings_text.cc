#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "launch/doctor/findings.h"

namespace phalanx {
namespace {

// Limits of time, the age of files and the order of logs are off by as much.
constexpr double kMostClockSeconds = 1.0;

const char* level_name(FindingLevel level) {
  if (level == FindingLevel::kOk) return "ok";
  return level == FindingLevel::kWarning ? "warning" : "error";
}

}  // namespace

Finding judge_clocks(const std::vector<RankFacts>& ranks, const std::vector<ClockOffset>& offsets) {
  size_t furthest = 0;
  const auto middle = [&](size_t rank) { return (offsets[rank].least + offsets[rank].most) / 2; };
  for (size_t rank = 1; rank < offsets.size(); ++rank) {
    if (std::abs(middle(rank)) > std::abs(middle(furthest))) furthest = rank;
  }
  if (ranks.size() == 1) {
    return {FindingLevel::kOk, "clock", "one rank, nothing to compare", ""};
  }
  const double spread = (offsets[furthest].most - offsets[furthest].least) / 2;
  const std::string detail = fmt::format(
      "at most {:.6f} s apart, known to {:.6f} s: rank {} ({}) and rank 0 ({})",
      std::abs(middle(furthest)), spread, furthest, ranks[furthest].host, ranks[0].host);
  if (std::abs(middle(furthest)) - spread <= kMostClockSeconds) {
    return {FindingLevel::kOk, "clock", detail, ""};
  }
  return {FindingLevel::kWarning, "clock", detail,
          "let chrony or ntpd set the clocks of all hosts"};
}

std::string findings_text(const std::vector<Finding>& findings) {
  std::string text;
  for (const Finding& finding : findings) {
    text +=
        fmt::format("{:<8} {:<14} {}\n", level_name(finding.level), finding.name, finding.detail);
    if (!finding.remedy.empty()) text += fmt::format("{:<24}try: {}\n", "", finding.remedy);
  }
  return text;
}

std::string findings_json(const std::vector<Finding>& findings) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const Finding& finding : findings) {
    list.push_back({{"level", level_name(finding.level)},
                    {"name", finding.name},
                    {"detail", finding.detail},
                    {"remedy", finding.remedy}});
  }
  return list.dump(1) + "\n";
}

FindingLevel worst_of(const std::vector<Finding>& findings) {
  FindingLevel worst = FindingLevel::kOk;
  for (const Finding& finding : findings) worst = std::max(worst, finding.level);
  return worst;
}

}  // namespace phalanx
