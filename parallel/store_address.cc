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
#include <thread>

namespace phalanx {
namespace {

constexpr std::chrono::milliseconds kNextQuestion{250};

using Addresses = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

bool may_become_known(int answer) {
  return answer == EAI_AGAIN || answer == EAI_NONAME || answer == EAI_NODATA;
}

/// Null, and `answer` says why.
Addresses addresses_of(const std::string& host, uint16_t port,
                       std::chrono::steady_clock::time_point deadline, int& answer) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* first = nullptr;
  for (;;) {
    answer = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &first);
    if (answer == 0) return Addresses(first, &freeaddrinfo);
    const bool has_time = std::chrono::steady_clock::now() + kNextQuestion < deadline;
    if (!may_become_known(answer) || !has_time) return Addresses(nullptr, &freeaddrinfo);
    std::this_thread::sleep_for(kNextQuestion);
  }
}

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
  int answer = 0;
  const Addresses list = addresses_of(host, port, std::chrono::steady_clock::now() + limit, answer);
  if (!list) {
    const double seconds = std::chrono::duration<double>(limit).count();
    return gai_strerror(answer) +
           (may_become_known(answer) ? fmt::format(", asked for {:g} s", seconds) : "");
  }
  int error = 0;
  for (const addrinfo* one = list.get(); one != nullptr; one = one->ai_next) {
    error = try_address(*one, limit);
    if (error == 0) return "";
  }
  return std::strerror(error);
}

}  // namespace phalanx
