#pragma once
// A port of this machine that nobody listens at, and none of those that the system gives to whoever
// asks for any.
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
  int first_given = 0;
  std::ifstream("/proc/sys/net/ipv4/ip_local_port_range") >> first_given;
  std::random_device chance;
  for (int i = 0; i < 100; ++i) {
    const auto port = static_cast<uint16_t>(10'000 + chance() % (first_given - 10'000));
    if (is_free(port)) return port;
  }
  throw std::runtime_error("no free port");
}

}  // namespace phalanx
