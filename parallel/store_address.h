#pragma once
// Can the host be reached where ranks meet without MPI? Asked before the store is, which would try
// for as long as a slow start may take. Local.
#include <chrono>
#include <cstdint>
#include <string>

namespace phalanx {

/// Why `host` does not answer: its name is not known, no way leads there, or it stays silent for
/// `limit`. Empty: it answers, be it that nobody listens at the port yet.
std::string why_unreachable(const std::string& host, uint16_t port,
                            std::chrono::milliseconds limit);

}  // namespace phalanx
