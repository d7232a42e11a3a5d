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

Finding judge_products(const std::vector<RankFacts>& ranks,
                       const std::vector<StressResult>& results) {
  std::vector<double> speeds;
  for (const StressResult& result : results) speeds.push_back(result.flops);
  const std::vector<size_t> slow = slow_ones(speeds);
  std::string detail =
      fmt::format("a rank multiplies at {:.4g} TFLOP/s in the median", median_of(speeds) / 1e12);
  if (slow.empty()) return {FindingLevel::kOk, "products", detail, ""};
  for (const size_t rank : slow) {
    detail += fmt::format("; slow: rank {} ({}), {:.4g} TFLOP/s", rank, ranks[rank].host,
                          speeds[rank] / 1e12);
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
