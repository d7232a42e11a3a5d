#pragma once
// The network of this host, as far as the kernel tells without being asked twice. Local; reads
// getifaddrs() and /sys. What cannot be read is left empty.
#include <cstdint>
#include <string>
#include <vector>

namespace phalanx {

struct NetworkInterface {
  std::string name;
  std::string address;  // the first IPv4 one; empty: none
  bool up = false;
  int64_t megabits = 0;  // a second; 0: not said, as of virtual ones
};

/// All but the loopback, in the kernel's order.
std::vector<NetworkInterface> network_interfaces();

/// Names of the InfiniBand or RoCE devices that NCCL may use.
std::vector<std::string> infiniband_devices();

/// Is `name` one of this host's own names or addresses?
bool is_this_host(const std::string& name);

}  // namespace phalanx
