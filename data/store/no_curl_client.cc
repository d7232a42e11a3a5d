// In place of curl_client.cc where libcurl is not installed.
#include <stdexcept>

#include "data/store/http_client.h"

namespace phalanx {

struct HttpClient::Connection {};

HttpClient::HttpClient(HttpLimits limits, std::function<bool()> stopped)
    : limits_(std::move(limits)), stopped_(std::move(stopped)) {}
HttpClient::~HttpClient() = default;

bool HttpClient::is_there() { return false; }

HttpAnswer HttpClient::send(const HttpRequest&, const HttpSink&) {
  throw std::logic_error("a request in a build without libcurl");
}

}  // namespace phalanx
