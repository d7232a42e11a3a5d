#pragma once
// Can the host be reached where ranks meet without MPI? Asked before the store is, which would try
// for as long as a slow start may take. Local; waits.
#include <chrono>
#include <cstdint>
#include <string>

namespace phalanx {

/// Why `host` does not answer within `limit`: its name is not known, no way leads there, or it
/// stays silent. A name that is not known yet is asked for again until then: a host that has just
/// been started, or a pod, gets its entry some seconds later. Empty: it answers, be it that nobody
/// listens at the port yet.
std::string why_unreachable(const std::string& host, uint16_t port,
                            std::chrono::milliseconds limit);

}  // namespace phalanx
