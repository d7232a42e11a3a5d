#include "data/store/store_request.h"

#include <fmt/format.h>
#include <time.h>

#include <exception>
#include <stdexcept>

namespace phalanx {
namespace {

constexpr std::string_view kDefaultRegion = "us-east-1";

std::string first_of(const std::string& one, const std::string& other) {
  return one.empty() ? other : one;
}

StoreUrl parse_endpoint(const std::string& text) {
  StoreUrl url;
  try {
    url = parse_store_url(text);
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument(fmt::format("data.store.endpoint: {}", error.what()));
  }
  if (url.scheme != "s3") return url;
  throw std::invalid_argument(fmt::format(
      "data.store.endpoint: expected https://host or http://host:port, found {}", text));
}

/// In a URL as a person wrote it only what cannot stand there is encoded.
std::string encoded_as_needed(std::string_view path) {
  std::string encoded;
  for (const char c : path) {
    const bool plain = c > ' ' && c < 127 && c != '"' && c != '<' && c != '>';
    encoded += plain ? std::string(1, c) : percent_encoded({&c, 1}, false);
  }
  return encoded;
}

void replace_all(std::string& text, const std::string& secret) {
  if (secret.empty()) return;
  for (size_t at = text.find(secret); at != std::string::npos; at = text.find(secret, at)) {
    text.replace(at, secret.size(), "***");
  }
}

}  // namespace

RequestMaker::RequestMaker(const StoreSettings& settings, const StoreEnvironment& environment)
    : settings_(settings), environment_(environment) {
  if (!settings_.endpoint.empty()) (void)parse_endpoint(settings_.endpoint);
}

const RequestMaker::Server& RequestMaker::server() const {
  std::call_once(server_found_, [this] {
    const S3Defaults machine = environment_.s3();
    server_.region =
        first_of(first_of(settings_.region, machine.region), std::string(kDefaultRegion));
    const std::string endpoint = first_of(settings_.endpoint, machine.endpoint);
    const bool amazon = endpoint.empty();
    const StoreUrl url = parse_endpoint(
        amazon ? fmt::format("https://s3.{}.amazonaws.com", server_.region) : endpoint);
    server_.endpoint = {url.scheme, url.authority, url.path};
    server_.bucket_in_path = settings_.addressing == S3Addressing::kPath ||
                             (settings_.addressing == S3Addressing::kAuto && !amazon);
  });
  return server_;
}

/// Those before where there are none now: their file is being written, or lost.
AwsKeys RequestMaker::keys() const {
  AwsKeys found;
  std::exception_ptr failure;
  std::string problem = "no keys are found any more";
  try {
    found = environment_.keys();
  } catch (const std::exception& error) {
    failure = std::current_exception();
    problem = error.what();
  }
  const std::lock_guard lock(mutex_);
  if (found.empty()) {
    if (!keys_now_.empty()) {
      keys_problem_ = problem;
    } else if (failure) {
      std::rethrow_exception(failure);
    }
    return keys_now_;
  }
  if (found.access_key_id != keys_now_.access_key_id) keys_before_ = keys_now_;
  keys_now_ = found;
  keys_problem_.clear();
  return found;
}

void RequestMaker::note_accepted(const StoreUrl& url) const {
  if (url.scheme == "s3") accepted_ = true;
}

RequestMaker::Address RequestMaker::address_of(const StoreUrl& url) const {
  if (url.scheme != "s3") return {url.scheme, url.authority, encoded_as_needed(url.path)};
  const auto& [endpoint, region, bucket_in_path] = server();
  const std::string key = percent_encoded(url.path, /*keep_slashes=*/true);
  // A certificate for *.host does not cover a bucket with a dot in its name.
  if (bucket_in_path || url.authority.find('.') != std::string::npos) {
    return {endpoint.scheme, endpoint.host,
            fmt::format("{}/{}{}", endpoint.path, url.authority, key)};
  }
  return {endpoint.scheme, fmt::format("{}.{}", url.authority, endpoint.host), endpoint.path + key};
}

std::string RequestMaker::address(const StoreUrl& url) const {
  const Address address = address_of(url);
  return fmt::format("{}://{}{}", address.scheme, address.host, address.path);
}

HttpRequest RequestMaker::make(const StoreUrl& url, const HttpHeaders& others) const {
  const Address address = address_of(url);
  HttpRequest request;
  request.url = fmt::format("{}://{}{}", address.scheme, address.host, address.path);
  request.headers = others;
  if (url.scheme != "s3") return request;
  // A signature is for one host: another that answers in its place is not asked.
  request.follow_redirects = false;
  const AwsKeys keys = this->keys();
  if (keys.empty()) return request;
  request.headers = sign_s3_request("GET", address.host, address.path, others,
                                    {server().region, "s3", signing_time(::time(nullptr))}, keys);
  return request;
}

std::string RequestMaker::without_keys(std::string text) const {
  const std::lock_guard lock(mutex_);
  for (const AwsKeys& keys : {keys_now_, keys_before_}) {
    for (const std::string& secret :
         {keys.secret_access_key, keys.session_token, keys.access_key_id}) {
      replace_all(text, secret);
    }
  }
  return text;
}

std::string RequestMaker::advice_on_keys(const StoreUrl& url) const {
  if (url.scheme != "s3") return "";
  if (keys().empty()) {
    return ", without a signature, because no keys were found: AWS_ACCESS_KEY_ID and "
           "AWS_SECRET_ACCESS_KEY, or a profile of the AWS files, give them";
  }
  const std::lock_guard lock(mutex_);
  return fmt::format(", signed for region {}{}", server().region,
                     keys_problem_.empty() ? "" : " with earlier keys: " + keys_problem_);
}

std::string signing_time(int64_t seconds) {
  const time_t time = seconds;
  tm parts{};
  gmtime_r(&time, &parts);
  return fmt::format("{:04}{:02}{:02}T{:02}{:02}{:02}Z", parts.tm_year + 1900, parts.tm_mon + 1,
                     parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
}

}  // namespace phalanx
