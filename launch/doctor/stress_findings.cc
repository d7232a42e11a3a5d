#include <fmt/format.h>

#include <algorithm>

#include "launch/counted.h"
#include "launch/doctor/findings.h"
#include "launch/doctor/judged.h"

namespace phalanx {
namespace {

double median_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

/// A core's speed would begin with zeros in the units of a GPU.
std::string flops_text(double flops) {
  constexpr double kTera = 1e12, kGiga = 1e9;
  return flops < kTera / 10 ? fmt::format("{:.4g} GFLOP/s", flops / kGiga)
                            : fmt::format("{:.4g} TFLOP/s", flops / kTera);
}

Finding judge_products(const std::vector<RankFacts>& ranks,
                       const std::vector<StressResult>& results) {
  std::vector<double> speeds;
  for (const StressResult& result : results) speeds.push_back(result.flops);
  const std::vector<size_t> slow = slow_ones(speeds);
  std::string detail =
      fmt::format("a rank multiplies at {} in the median", flops_text(median_of(speeds)));
  if (slow.empty()) return {FindingLevel::kOk, "products", detail, ""};
  for (const size_t rank : slow) {
    detail +=
        fmt::format("; slow: rank {} ({}), {}", rank, ranks[rank].host, flops_text(speeds[rank]));
  }
  return {FindingLevel::kWarning, "products", detail,
          "look at that host's clocks, temperature and other work, or leave it out"};
}

Finding judge_links(const std::vector<RankFacts>& ranks, const std::vector<StressResult>& results) {
  std::vector<std::string> hosts;
  for (const RankFacts& facts : ranks) hosts.push_back(facts.host);
  const StressPairs pairs = stress_pairs(hosts);
  if (pairs.num_units < 2)
    return {FindingLevel::kOk, "all-reduce", "one rank, nothing to send", ""};
  const std::vector<double> speeds = unit_link_speeds(pairs, results);
  const std::vector<size_t> slow = slow_ones(speeds);
  std::string detail =
      fmt::format("pairs of {} reduce {:.4g} GB/s a rank in the median",
                  pairs.units_are_hosts ? "hosts" : "ranks", median_of(speeds) / 1e9);
  if (slow.empty()) return {FindingLevel::kOk, "all-reduce", detail, ""};
  for (const size_t unit : slow) {
    const auto first = std::find(pairs.unit_of_rank.begin(), pairs.unit_of_rank.end(), int(unit));
    const size_t rank = size_t(first - pairs.unit_of_rank.begin());
    detail += fmt::format(
        "; slow: {}, {:.4g} GB/s",
        pairs.units_are_hosts ? "host " + ranks[rank].host : fmt::format("rank {}", rank),
        speeds[unit] / 1e9);
  }
  return {FindingLevel::kWarning, "all-reduce", detail,
          "look at that host's network: cable, speed of the interface, NCCL_SOCKET_IFNAME"};
}

}  // namespace

std::vector<Finding> judge_stress(const std::vector<RankFacts>& ranks,
                                  const std::vector<StressResult>& results) {
  return {judge_products(ranks, results), judge_links(ranks, results)};
}

}  // namespace phalanx
