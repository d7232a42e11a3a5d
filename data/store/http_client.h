#pragma once
// One GET at a time over a connection that is kept. A build without libcurl has the file
// no_curl_client.cc in place of curl_client.cc: there is_there() is false and nothing is sent.
//
// Local. One owner at a time. Certificates are always verified. Redirects are followed where the
// request says so: at most five, never from https to http. Usual proxy variables are libcurl's.
// Nothing is tried twice here (fetcher.h does that). What the network does is an HttpAnswer, not an
// exception; what the sink throws comes through.
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "data/store/aws_signature.h"

namespace phalanx {

struct HttpRequest {
  std::string url;
  HttpHeaders headers;
  bool follow_redirects = true;
};

enum class HttpEnd {
  kWhole,     // the answer came to its end
  kNoAnswer,  // no connection, or nothing of an answer
  kBroken,    // it ended before its end
  kStalled,   // too little for too long
  kHopeless,  // not by trying again either: certificate, redirects, protocol
  kStopped,   // because stopped() said so
};

struct HttpAnswer {
  HttpEnd end = HttpEnd::kNoAnswer;
  int status = 0;  // 0: none
  HttpHeaders headers;
  std::string problem;     // of the connection, for a person
  std::string body_start;  // of answers other than 200 and 206, at most 4 KiB
};

struct HttpLimits {
  double connect_seconds = 15;
  double stall_seconds = 30;  // below stall_bytes_per_second for so long: stalled
  int64_t stall_bytes_per_second = 1024;
  std::string ca_file;  // empty: those of the system
};

/// Gets the body of a 200 or 206 in pieces, with status and headers as they are known by then.
using HttpSink = std::function<void(const HttpAnswer& so_far, std::span<const std::byte> piece)>;

class HttpClient {
 public:
  /// `stopped` is asked about once a second at least; true ends a transfer.
  HttpClient(HttpLimits limits, std::function<bool()> stopped);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  static bool is_there();

  [[nodiscard]] HttpAnswer send(const HttpRequest& request, const HttpSink& sink);

 private:
  struct Connection;
  HttpLimits limits_;
  std::function<bool()> stopped_;
  std::unique_ptr<Connection> connection_;
};

}  // namespace phalanx
