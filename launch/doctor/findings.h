#pragma once
// What the facts of all ranks mean: a line each, ok, warning or error, with what helps. Pure,
// local.
#include <string>
#include <vector>

#include "launch/doctor/measured_facts.h"
#include "launch/doctor/rank_facts.h"
#include "launch/doctor/stress.h"

namespace phalanx {

enum class FindingLevel { kOk, kWarning, kError };

struct Finding {
  FindingLevel level = FindingLevel::kOk;
  std::string name;    // "cores", "clock", ...
  std::string detail;  // what was found, and where
  std::string remedy;  // empty: ok
};

/// What the run wants, as far as it is known.
struct DoctorWishes {
  bool has_config = false;
  bool cuda = false;
  std::string run_folder;  // that was written to
};

/// Launch, program, cores, GPUs, CUDA, MPI, network, shared memory, limits, variables, the run's
/// folder, data. `ranks` in order, at least one.
std::vector<Finding> judge_facts(const std::vector<RankFacts>& ranks, const DoctorWishes& wishes);

/// The clocks of all ranks against that of rank 0.
Finding judge_clocks(const std::vector<RankFacts>& ranks, const std::vector<ClockOffset>& offsets);

/// Products and all-reduces: the ranks and hosts that are slower than the others.
std::vector<Finding> judge_stress(const std::vector<RankFacts>& ranks,
                                  const std::vector<StressResult>& results);

std::string findings_text(const std::vector<Finding>& findings);
std::string findings_json(const std::vector<Finding>& findings);
FindingLevel worst_of(const std::vector<Finding>& findings);

}  // namespace phalanx
