#pragma once
// What is looked at before mpirun is started, since what goes wrong inside it is told late, by each
// rank, or not at all. Local; runs short commands. Errors: std::invalid_argument, one message that
// names option or host, what was expected and found, and what helps.
#include <string>
#include <vector>

#include "launch/launchers/launch_job.h"

namespace phalanx {

/// Lines `name`, `name slots=N` or `name:N`; # begins a comment. `where` names the text.
std::vector<HostSlots> read_hostfile(const std::string& text, const std::string& where);

/// Takes the first `nodes` of the hosts. Each must have room for its ranks.
std::vector<HostSlots> choose_hosts(const std::vector<HostSlots>& hosts, int64_t nodes,
                                    int64_t ranks_per_node, const std::string& where);

/// job.mpirun must be there and belong to the MPI that this program is linked with (`library`).
void check_mpirun(const LaunchJob& job, const std::string& library);

/// Starts the program on every host, all at once, as mpirun will: a host that cannot be reached, or
/// has no such program, or another version, is named. Without hosts it is this one.
void check_hosts(const LaunchJob& job, const std::string& version, double seconds);

}  // namespace phalanx
