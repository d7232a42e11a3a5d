#include "trainer/work_times.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "parallel/host_name.h"

namespace phalanx {
namespace {

constexpr int64_t kLeastSteps = 5;  // of a mean that says something
constexpr int kReports = 2;

}  // namespace

WorkReport StragglerRule::judge(const std::vector<RankWork>& ranks) {
  slow_in_a_row_.resize(ranks.size());
  std::vector<double> sorted;
  for (const RankWork& rank : ranks) sorted.push_back(rank.seconds);
  std::sort(sorted.begin(), sorted.end());
  WorkReport report;
  report.median_seconds = sorted[(sorted.size() - 1) / 2];
  for (size_t rank = 0; rank < ranks.size(); ++rank) {
    const double seconds = ranks[rank].seconds;
    if (seconds > report.slowest_seconds) {
      report.slowest_seconds = seconds;
      report.slowest_rank = static_cast<int>(rank);
    }
    const double score = seconds > 0 ? report.median_seconds / seconds : 1.0;
    slow_in_a_row_[rank] = score < kStragglerScore ? slow_in_a_row_[rank] + 1 : 0;
    if (slow_in_a_row_[rank] < kReports) continue;
    report.stragglers.push_back({static_cast<int>(rank), ranks[rank].host, seconds, score,
                                 slow_in_a_row_[rank] > kReports});
  }
  return report;
}

std::string straggler_text(const Straggler& straggler, const WorkReport& report) {
  return fmt::format(
      "rank {} on {} takes {:.1f} times as long as the median rank for its own part of a step "
      "({:.4f} s, not {:.4f} s): the others wait for it",
      straggler.rank, straggler.host, 1.0 / straggler.score, straggler.seconds,
      report.median_seconds);
}

void WorkTimes::add(double seconds) {
  seconds_ += seconds;
  ++steps_;
}

bool WorkTimes::is_due() const {
  const std::chrono::duration<double> passed = Clock::now() - last_;
  return interval_seconds_ > 0 && steps_ >= kLeastSteps && passed.count() >= interval_seconds_;
}

WorkReport WorkTimes::compare(Communicator& control) {
  const double mean = steps_ > 0 ? seconds_ / double(steps_) : 0.0;
  std::vector<RankWork> ranks;
  for (const std::string& text :
       all_gather_strings(control, fmt::format("{} {}", mean, host_name()))) {
    std::istringstream words(text);
    RankWork rank;
    words >> rank.seconds >> rank.host;
    ranks.push_back(rank);
  }
  last_ = Clock::now();
  seconds_ = 0.0;
  steps_ = 0;
  return rule_.judge(ranks);
}

}  // namespace phalanx
