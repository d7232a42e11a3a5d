#include "parallel/flight_peers.h"

#include <fmt/format.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <system_error>

#include "parallel/host_name.h"

namespace phalanx {
namespace {

/// Two machines may bear one name; the kernel's number of this start of the system does not lie.
std::string boot_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  file >> id;
  return id.empty() ? "unknown" : id;
}

std::string process_text(int pid) {
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  std::string text;
  std::getline(file, text);
  const size_t name_end = text.rfind(')');  // the name may hold anything
  if (name_end == std::string::npos || name_end + 2 >= text.size()) return "gone";
  switch (text[name_end + 2]) {
    case 'T':
      return "stopped";
    case 't':
      return "held by a debugger";
    case 'Z':
    case 'X':
      return "gone";
    default:
      return "";
  }
}

/// Null where the page cannot be opened: the rank has ended, or sees another /dev/shm.
std::unique_ptr<FlightReader> open_page(const std::string& file) {
  try {
    return std::make_unique<FlightReader>(file);
  } catch (const std::system_error&) {
    return nullptr;
  }
}

}  // namespace

RankState FlightPeer::state() const {
  RankState found{rank, host, pid, std::nullopt, flight_now_ns(), ""};
  if (!page) return found;
  found.last = page->snapshot();
  found.process = process_text(pid);
  return found;
}

FlightPeers meet_flight_peers(Communicator& control, const FlightRecorder& recorder) {
  const std::string boot = boot_id();
  const std::vector<std::string> all = all_gather_strings(
      control, fmt::format("{} {} {} {}", host_name(), boot, getpid(), recorder.file()));
  FlightPeers peers;
  peers.rank = control.rank();
  for (int rank = 0; rank < control.size(); ++rank) {
    std::istringstream words(all[size_t(rank)]);
    FlightPeer peer;
    std::string peer_boot, file;
    words >> peer.host >> peer_boot >> peer.pid >> file;
    peer.rank = rank;
    if (rank == 0) peers.job = peer.host + "/" + file;
    if (peer_boot == boot) peer.page = open_page(file);
    peers.ranks.push_back(std::move(peer));
  }
  // Nobody leaves before all have opened what they read.
  control.barrier();
  return peers;
}

}  // namespace phalanx
