#pragma once
// A port of this machine that nobody listens at and, where that leaves any, none of those that the
// system gives to whoever asks.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <random>
#include <stdexcept>

namespace phalanx {

inline bool is_free(uint16_t port) {
  const int socket_of = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  const bool bound = bind(socket_of, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  close(socket_of);
  return bound;
}

inline uint16_t free_port() {
  uint32_t first_given = 0, last_given = 0;
  std::ifstream("/proc/sys/net/ipv4/ip_local_port_range") >> first_given >> last_given;
  std::random_device chance;
  constexpr int kTries = 10'000;
  for (int i = 0; i < kTries; ++i) {
    const uint32_t port = 10'000 + chance() % 55'536;
    const bool is_given = first_given <= port && port <= last_given;
    if ((!is_given || i > kTries / 2) && is_free(static_cast<uint16_t>(port))) {
      return static_cast<uint16_t>(port);
    }
  }
  throw std::runtime_error("no free port");
}

}  // namespace phalanx
