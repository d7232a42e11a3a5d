#include "parallel/store_address.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

namespace phalanx {
namespace {

/// 0: it answers, be it by a refusal.
int try_address(const addrinfo& address, std::chrono::milliseconds limit) {
  const int kind = address.ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC;
  const int socket_of = socket(address.ai_family, kind, address.ai_protocol);
  if (socket_of < 0) return errno;
  int error = connect(socket_of, address.ai_addr, address.ai_addrlen) == 0 ? 0 : errno;
  if (error == EINPROGRESS) {
    pollfd waiting{socket_of, POLLOUT, 0};
    error = ETIMEDOUT;
    if (poll(&waiting, 1, static_cast<int>(limit.count())) == 1) {
      socklen_t length = sizeof error;
      getsockopt(socket_of, SOL_SOCKET, SO_ERROR, &error, &length);
    }
  }
  close(socket_of);
  return error == ECONNREFUSED ? 0 : error;
}

}  // namespace

std::string why_unreachable(const std::string& host, uint16_t port,
                            std::chrono::milliseconds limit) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* first = nullptr;
  const int unknown = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &first);
  if (unknown != 0) return gai_strerror(unknown);
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> list(first, &freeaddrinfo);
  int error = 0;
  for (const addrinfo* one = list.get(); one != nullptr; one = one->ai_next) {
    error = try_address(*one, limit);
    if (error == 0) return "";
  }
  return std::strerror(error);
}

}  // namespace phalanx
