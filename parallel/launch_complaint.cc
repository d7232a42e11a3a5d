#include "parallel/launch_complaint.h"

#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <memory>
#include <thread>

namespace phalanx {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kNextQuestion{100};

class Socket {
 public:
  explicit Socket(int number) : number_(number) {}
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  ~Socket() {
    if (number_ >= 0) close(number_);
  }
  int number() const { return number_; }
  bool is_open() const { return number_ >= 0; }

  /// Whether there is something to read, or it can be written to, before the deadline.
  bool wait(short events, Clock::time_point deadline) const {
    pollfd waiting{number_, events, 0};
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    return poll(&waiting, 1, static_cast<int>(std::max<int64_t>(0, left))) == 1;
  }

 private:
  int number_;
};

constexpr int kKind = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;

template <class Address>
bool listen_at(const Socket& socket, const Address& address) {
  const int on = 1;
  setsockopt(socket.number(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  return bind(socket.number(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
         listen(socket.number(), SOMAXCONN) == 0;
}

/// A socket of IPv6 serves both families; a host may have been started without it.
bool listen_at(const Socket& socket, bool has_ipv6, uint16_t port) {
  sockaddr_in6 wide{};
  wide.sin6_family = AF_INET6;
  wide.sin6_port = htons(port);
  if (!has_ipv6) {
    sockaddr_in narrow{};
    narrow.sin_family = AF_INET;
    narrow.sin_port = htons(port);
    return listen_at(socket, narrow);
  }
  const int off = 0;
  setsockopt(socket.number(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  return listen_at(socket, wide);
}

/// All that the other side writes before it closes; what does not come in time is left out.
std::string read_all(const Socket& socket, Clock::time_point deadline) {
  std::string text;
  std::array<char, 4096> piece{};
  while (socket.wait(POLLIN, deadline)) {
    const ssize_t count = recv(socket.number(), piece.data(), piece.size(), 0);
    if (count <= 0) break;
    text.append(piece.data(), static_cast<size_t>(count));
  }
  return text;
}

std::string words_at(const addrinfo& address, Clock::time_point deadline) {
  const Socket socket(::socket(address.ai_family, kKind, address.ai_protocol));
  if (!socket.is_open()) return "";
  // Being under way is no error; a refusal shows in the first read.
  connect(socket.number(), address.ai_addr, address.ai_addrlen);
  if (!socket.wait(POLLOUT, deadline)) return "";
  return read_all(socket, deadline);
}

using Addresses = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

/// Null: there is no such place, or nobody knows where it is.
Addresses addresses_of(const MeetingPlace& place) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* first = nullptr;
  const std::string port = std::to_string(place.port);
  const bool is_known =
      !place.host.empty() && getaddrinfo(place.host.c_str(), port.c_str(), &hints, &first) == 0;
  return Addresses(is_known ? first : nullptr, &freeaddrinfo);
}

bool is_said_at(const MeetingPlace& place, const std::string& text, Clock::time_point deadline) {
  const Addresses list = addresses_of(place);
  for (const addrinfo* one = list.get(); one != nullptr; one = one->ai_next) {
    if (words_at(*one, deadline) == text) return true;
  }
  return false;
}

}  // namespace

void offer_complaint(const MeetingPlace& place, const std::string& text,
                     std::chrono::milliseconds limit) {
  if (!addresses_of(place)) return;
  const Clock::time_point deadline = Clock::now() + limit;
  const int wide = ::socket(AF_INET6, kKind, 0);
  const Socket socket(wide >= 0 ? wide : ::socket(AF_INET, kKind, 0));
  if (!socket.is_open() || !listen_at(socket, wide >= 0, place.port)) return;
  for (int asked = 1; asked < place.size && socket.wait(POLLIN, deadline); ++asked) {
    const Socket other(accept4(socket.number(), nullptr, nullptr, SOCK_CLOEXEC));
    if (other.is_open()) (void)send(other.number(), text.data(), text.size(), MSG_NOSIGNAL);
  }
}

bool first_rank_said(const MeetingPlace& place, const std::string& text,
                     std::chrono::milliseconds limit) {
  const Clock::time_point deadline = Clock::now() + limit;
  do {
    if (is_said_at(place, text, deadline)) return true;
    std::this_thread::sleep_for(kNextQuestion);
  } while (Clock::now() < deadline);
  return false;
}

}  // namespace phalanx
