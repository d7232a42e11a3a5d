#pragma once
// The check that takes as long as it is told: how fast each rank multiplies, and how fast hosts (or
// on one host ranks) reach one another. run_stress() is collective over the session's ranks; the
// rest is pure.
#include <string>
#include <vector>

#include "parallel/session.h"

namespace phalanx {

/// Of one rank, in both rounds of pairs; 0: it had no partner in it.
struct StressResult {
  double flops = 0;                   // of matrix products, a second
  double link_bytes[2] = {0.0, 0.0};  // a second, of an all-reduce with the partner
};

/// Who talks to whom: units are hosts, or the ranks where there is only one host.
struct StressPairs {
  std::vector<int> unit_of_rank;
  int num_units = 1;
  bool units_are_hosts = false;
};
StressPairs stress_pairs(const std::vector<std::string>& host_of_rank);

/// The pair that a unit belongs to in a round: 0 and 1, 2 and 3, ... and then 1 and 2, 3 and 4,
/// ..., the last and 0. -1: it has no partner.
int pair_of_unit(int unit, int num_units, int round);

/// `hosts` are those of all ranks. `seconds` in all: half of it products, half of it all-reduces.
/// The results of all ranks, on every rank.
std::vector<StressResult> run_stress(Session& session, const std::vector<std::string>& hosts,
                                     double seconds, bool cuda);

/// A rank or unit below 0.7 of the median, as for stragglers in training. Indices, rising.
std::vector<size_t> slow_ones(const std::vector<double>& speeds);

/// The best of what a unit reached in its rounds: a partner that is slow spoils one of two.
std::vector<double> unit_link_speeds(const StressPairs& pairs,
                                     const std::vector<StressResult>& results);

}  // namespace phalanx
