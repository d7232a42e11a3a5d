#pragma once
// Who else is in the run, and the pages of those on this host.
//
// FlightOperation over `control`: meet_flight_peers(). All else is local and may be called from any
// thread. Ownership: keeps the other ranks' pages mapped.
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "parallel/communicator.h"
#include "parallel/flight_recorder.h"

namespace phalanx {

/// One rank, as far as it is known here.
struct RankState {
  int rank = 0;
  std::string host;
  int pid = 0;
  std::optional<FlightSnapshot> last;  // nothing: of another host, and not heard of
  int64_t now_ns = 0;                  // when that was, on its own host's clock
  std::string process;                 // "stopped", "gone" or nothing worth saying
};

struct FlightPeer {
  int rank = 0;
  std::string host;
  int pid = 0;
  std::unique_ptr<FlightReader> page;  // null: of another host

  RankState state() const;
};

struct FlightPeers {
  std::string job;  // names this start of all ranks, alike on all of them
  int rank = 0;
  std::vector<FlightPeer> ranks;  // all, this one included
};

FlightPeers meet_flight_peers(Communicator& control, const FlightRecorder& recorder);

}  // namespace phalanx
