#include "launch/host_network.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <system_error>

#include "parallel/host_name.h"

namespace phalanx {
namespace {

namespace fs = std::filesystem;

std::string address_text(const sockaddr* address) {
  if (address == nullptr || address->sa_family != AF_INET) return "";
  char text[INET_ADDRSTRLEN] = "";
  inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(address)->sin_addr, text, sizeof text);
  return text;
}

int64_t megabits_of(const std::string& name) {
  std::ifstream file(fs::path("/sys/class/net") / name / "speed");
  int64_t megabits = 0;
  return file >> megabits && megabits > 0 ? megabits : 0;
}

/// The loopback too.
std::vector<NetworkInterface> all_interfaces() {
  ifaddrs* first = nullptr;
  if (getifaddrs(&first) != 0) return {};
  const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> list(first, &freeifaddrs);
  std::vector<NetworkInterface> found;
  for (const ifaddrs* one = list.get(); one != nullptr; one = one->ifa_next) {
    auto known = std::find_if(found.begin(), found.end(), [&](const NetworkInterface& interface) {
      return interface.name == one->ifa_name;
    });
    if (known == found.end()) {
      found.push_back({one->ifa_name, "", (one->ifa_flags & IFF_RUNNING) != 0, 0});
      known = std::prev(found.end());
    }
    if (known->address.empty()) known->address = address_text(one->ifa_addr);
  }
  return found;
}

}  // namespace

std::vector<NetworkInterface> network_interfaces() {
  std::vector<NetworkInterface> found = all_interfaces();
  std::erase_if(found, [](const NetworkInterface& interface) { return interface.name == "lo"; });
  for (NetworkInterface& interface : found) interface.megabits = megabits_of(interface.name);
  return found;
}

std::vector<std::string> infiniband_devices() {
  std::vector<std::string> names;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator("/sys/class/infiniband", none)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

bool is_this_host(const std::string& name) {
  const std::string own = host_name();
  if (name == "localhost" || name == own || name == own.substr(0, own.find('.'))) return true;
  const std::vector<NetworkInterface> interfaces = all_interfaces();
  return std::any_of(interfaces.begin(), interfaces.end(), [&](const NetworkInterface& interface) {
    return !interface.address.empty() && interface.address == name;
  });
}

}  // namespace phalanx
