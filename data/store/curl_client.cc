#include <curl/curl.h>
#include <fmt/format.h>
#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <cctype>
#include <exception>
#include <stdexcept>

#include "data/store/http_client.h"

namespace phalanx {
namespace {

constexpr size_t kMaxBodyStart = 4096;
constexpr size_t kMaxErrorBody = size_t{1} << 20;
constexpr long kMaxRedirects = 5;
constexpr long kReceiveBuffer = 512 * 1024;

/// Keeps the signal of a connection that the other side closed from ending the process.
class WithoutSigpipe {
 public:
  WithoutSigpipe() {
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  ~WithoutSigpipe() {
    if (sigismember(&before_, SIGPIPE) == 1) return;
    const timespec at_once{};
    while (sigtimedwait(&pipe_, nullptr, &at_once) > 0) {
    }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  WithoutSigpipe(const WithoutSigpipe&) = delete;
  WithoutSigpipe& operator=(const WithoutSigpipe&) = delete;

 private:
  sigset_t pipe_, before_;
};

/// A request under way, as libcurl's callbacks see it.
struct Transfer {
  HttpAnswer answer;
  const HttpSink* sink = nullptr;
  const std::function<bool()>* stopped = nullptr;
  size_t error_bytes = 0;
  std::exception_ptr failure;  // of the sink
};

void take_header(std::string_view line, HttpAnswer& answer) {
  // A status line begins the next answer: behind a redirect only the last one counts.
  if (line.starts_with("HTTP/")) {
    answer.headers.clear();
    answer.body_start.clear();
    const size_t space = line.find(' ');
    answer.status = space == std::string_view::npos ? 0 : std::atoi(line.data() + space + 1);
    return;
  }
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return;
  std::string name(line.substr(0, colon));
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  std::string_view value = line.substr(colon + 1);
  while (!value.empty() && std::isspace(static_cast<unsigned char>(value.front()))) {
    value.remove_prefix(1);
  }
  while (!value.empty() && std::isspace(static_cast<unsigned char>(value.back()))) {
    value.remove_suffix(1);
  }
  answer.headers[name] = value;
}

size_t on_header(char* data, size_t one, size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  // A copy, since libcurl's line does not end with a zero.
  const std::string line(data, one * count);
  take_header(line, transfer.answer);
  return one * count;
}

size_t on_body(char* data, size_t one, size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  HttpAnswer& answer = transfer.answer;
  const size_t bytes = one * count;
  if (answer.status != 200 && answer.status != 206) {
    const size_t room = kMaxBodyStart - std::min(kMaxBodyStart, answer.body_start.size());
    answer.body_start.append(data, std::min(bytes, room));
    transfer.error_bytes += bytes;
    return transfer.error_bytes > kMaxErrorBody ? CURL_WRITEFUNC_ERROR : bytes;
  }
  try {
    (*transfer.sink)(answer, std::as_bytes(std::span(data, bytes)));
  } catch (...) {
    transfer.failure = std::current_exception();
    return CURL_WRITEFUNC_ERROR;
  }
  return bytes;
}

int on_progress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return (*static_cast<Transfer*>(user)->stopped)() ? 1 : 0;
}

HttpEnd end_of(CURLcode code, const HttpAnswer& answer) {
  switch (code) {
    case CURLE_OK:
    case CURLE_WRITE_ERROR:  // an endless error page; what the sink throws is thrown
      return HttpEnd::kWhole;
    case CURLE_ABORTED_BY_CALLBACK:
      return HttpEnd::kStopped;
    case CURLE_OPERATION_TIMEDOUT:
      return answer.status == 0 ? HttpEnd::kNoAnswer : HttpEnd::kStalled;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_TOO_MANY_REDIRECTS:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CIPHER:
    case CURLE_WEIRD_SERVER_REPLY:
      return HttpEnd::kHopeless;
    default:
      return answer.status == 0 ? HttpEnd::kNoAnswer : HttpEnd::kBroken;
  }
}

/// "Name: value" lines, freed with the object.
class HeaderLines {
 public:
  explicit HeaderLines(const HttpHeaders& headers) {
    for (const auto& [name, value] : headers) {
      curl_slist* longer = curl_slist_append(lines_, fmt::format("{}: {}", name, value).c_str());
      if (longer == nullptr) throw std::bad_alloc();
      lines_ = longer;
    }
  }
  ~HeaderLines() { curl_slist_free_all(lines_); }
  HeaderLines(const HeaderLines&) = delete;
  HeaderLines& operator=(const HeaderLines&) = delete;

  curl_slist* get() const { return lines_; }

 private:
  curl_slist* lines_ = nullptr;
};

}  // namespace

struct HttpClient::Connection {
  Connection() : handle(curl_easy_init()) {
    if (handle == nullptr) throw std::bad_alloc();
  }
  ~Connection() { curl_easy_cleanup(handle); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  template <class Value>
  void set(CURLoption option, Value value) {
    const CURLcode code = curl_easy_setopt(handle, option, value);
    if (code != CURLE_OK) {
      throw std::runtime_error(fmt::format("libcurl: option {}: {}", static_cast<int>(option),
                                           curl_easy_strerror(code)));
    }
  }
  void set_limits(const HttpLimits& limits) {
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_PROTOCOLS_STR, "http,https");
    set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(limits.connect_seconds * 1000));
    set(CURLOPT_LOW_SPEED_LIMIT, static_cast<long>(limits.stall_bytes_per_second));
    set(CURLOPT_LOW_SPEED_TIME, std::max(1L, static_cast<long>(limits.stall_seconds)));
    set(CURLOPT_BUFFERSIZE, kReceiveBuffer);
    set(CURLOPT_TCP_KEEPALIVE, 1L);
    set(CURLOPT_USERAGENT, "phalanx");
    if (!limits.ca_file.empty()) set(CURLOPT_CAINFO, limits.ca_file.c_str());
  }
  void set_request(const HttpRequest& request) {
    set(CURLOPT_URL, request.url.c_str());
    set(CURLOPT_PATH_AS_IS, 1L);  // the path that was signed
    set(CURLOPT_FOLLOWLOCATION, request.follow_redirects ? 1L : 0L);
    set(CURLOPT_MAXREDIRS, kMaxRedirects);
    set(CURLOPT_REDIR_PROTOCOLS_STR, request.url.starts_with("https:") ? "https" : "http,https");
  }
  void set_callbacks(Transfer& transfer) {
    set(CURLOPT_HEADERFUNCTION, &on_header);
    set(CURLOPT_HEADERDATA, static_cast<void*>(&transfer));
    set(CURLOPT_WRITEFUNCTION, &on_body);
    set(CURLOPT_WRITEDATA, static_cast<void*>(&transfer));
    set(CURLOPT_XFERINFOFUNCTION, &on_progress);
    set(CURLOPT_XFERINFODATA, static_cast<void*>(&transfer));
    set(CURLOPT_NOPROGRESS, 0L);
  }

  CURL* handle;
};

HttpClient::HttpClient(HttpLimits limits, std::function<bool()> stopped)
    : limits_(std::move(limits)),
      stopped_(std::move(stopped)),
      connection_(std::make_unique<Connection>()) {}

HttpClient::~HttpClient() = default;

bool HttpClient::is_there() { return true; }

HttpAnswer HttpClient::send(const HttpRequest& request, const HttpSink& sink) {
  const WithoutSigpipe guard;
  Transfer transfer;
  transfer.sink = &sink;
  transfer.stopped = &stopped_;
  const HeaderLines headers(request.headers);
  char problem[CURL_ERROR_SIZE] = "";
  curl_easy_reset(connection_->handle);  // the connections stay
  connection_->set_limits(limits_);
  connection_->set_request(request);
  connection_->set_callbacks(transfer);
  connection_->set(CURLOPT_HTTPHEADER, headers.get());
  connection_->set(CURLOPT_ERRORBUFFER, static_cast<char*>(problem));
  const CURLcode code = curl_easy_perform(connection_->handle);
  connection_->set(CURLOPT_ERRORBUFFER, static_cast<char*>(nullptr));
  // A handle whose host was not found takes no more options (seen with libcurl 7.88).
  if (code != CURLE_OK) connection_ = std::make_unique<Connection>();
  if (transfer.failure) std::rethrow_exception(transfer.failure);
  transfer.answer.end = end_of(code, transfer.answer);
  if (transfer.answer.end != HttpEnd::kWhole) {
    transfer.answer.problem = problem[0] != '\0' ? problem : curl_easy_strerror(code);
  }
  return transfer.answer;
}

}  // namespace phalanx
