#pragma once
// A web server on the loopback that answers one request after another as a test says, and hangs up.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace phalanx::testing {

class CannedServer {
 public:
  /// Of the request, and how many there were before it.
  using Answer = std::function<std::string(const std::string& request, size_t number)>;

  explicit CannedServer(Answer answer) : answer_(std::move(answer)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
        ::listen(listener_, 8) != 0 ||
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
      throw std::runtime_error("no socket for the test");
    }
    url = fmt::format("http://127.0.0.1:{}", ntohs(address.sin_port));
    thread_ = std::thread([this] { serve(); });
  }
  /// The i-th request gets the i-th text, and later ones the last.
  explicit CannedServer(std::vector<std::string> answers)
      : CannedServer([answers = std::move(answers)](const std::string&, size_t number) {
          return answers[std::min(number, answers.size() - 1)];
        }) {}
  ~CannedServer() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }
  std::vector<std::string> requests() {
    const std::lock_guard lock(mutex_);
    return requests_;
  }
  std::string url;

 private:
  void serve() {
    for (;;) {
      const int connection = ::accept(listener_, nullptr, nullptr);
      if (connection < 0) return;
      std::string request;
      char piece[4096];
      while (request.find("\r\n\r\n") == std::string::npos) {
        const ssize_t got = ::recv(connection, piece, sizeof(piece), 0);
        if (got <= 0) break;
        request.append(piece, static_cast<size_t>(got));
      }
      if (request.find("\r\n\r\n") == std::string::npos) {  // a client that went away
        ::close(connection);
        continue;
      }
      size_t number = 0;
      {
        const std::lock_guard lock(mutex_);
        number = requests_.size();
        requests_.push_back(request);
      }
      const std::string answer = answer_(request, number);
      (void)::send(connection, answer.data(), answer.size(), MSG_NOSIGNAL);
      ::close(connection);
    }
  }

  Answer answer_;
  int listener_;
  std::mutex mutex_;
  std::vector<std::string> requests_;
  std::thread thread_;
};

inline std::string answer_of(int status, const std::string& headers, const std::string& body) {
  return fmt::format("HTTP/1.1 {} X\r\nConnection: close\r\n{}\r\n{}", status, headers, body);
}

}  // namespace phalanx::testing
