#include "data/store/store_request.h"

#include <fmt/format.h>
#include <time.h>

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
    : keys_(environment.keys),
      region_(
          first_of(first_of(settings.region, environment.region), std::string(kDefaultRegion))) {
  const std::string endpoint = first_of(settings.endpoint, environment.endpoint);
  const bool amazon = endpoint.empty();
  const StoreUrl url =
      parse_endpoint(amazon ? fmt::format("https://s3.{}.amazonaws.com", region_) : endpoint);
  endpoint_scheme_ = url.scheme;
  endpoint_host_ = url.authority;
  endpoint_path_ = url.path;
  bucket_in_path_ = settings.addressing == S3Addressing::kPath ||
                    (settings.addressing == S3Addressing::kAuto && !amazon);
}

RequestMaker::Address RequestMaker::address_of(const StoreUrl& url) const {
  if (url.scheme != "s3") return {url.scheme, url.authority, encoded_as_needed(url.path)};
  const std::string key = percent_encoded(url.path, /*keep_slashes=*/true);
  // A certificate for *.host does not cover a bucket with a dot in its name.
  if (bucket_in_path_ || url.authority.find('.') != std::string::npos) {
    return {endpoint_scheme_, endpoint_host_,
            fmt::format("{}/{}{}", endpoint_path_, url.authority, key)};
  }
  return {endpoint_scheme_, fmt::format("{}.{}", url.authority, endpoint_host_),
          endpoint_path_ + key};
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
  const AwsKeys keys = keys_();
  if (keys.empty()) return request;
  request.headers = sign_s3_request("GET", address.host, address.path, others,
                                    {region_, "s3", signing_time(::time(nullptr))}, keys);
  return request;
}

std::string RequestMaker::without_keys(std::string text) const {
  const AwsKeys keys = keys_();
  for (const std::string& secret :
       {keys.secret_access_key, keys.session_token, keys.access_key_id}) {
    replace_all(text, secret);
  }
  return text;
}

std::string RequestMaker::advice_on_keys(const StoreUrl& url) const {
  if (url.scheme != "s3") return "";
  return keys_().empty()
             ? ", without a signature, because no keys were found: AWS_ACCESS_KEY_ID and "
               "AWS_SECRET_ACCESS_KEY, or a profile of the AWS files, give them"
             : fmt::format(", signed for region {}", region_);
}

std::string signing_time(int64_t seconds) {
  const time_t time = seconds;
  tm parts{};
  gmtime_r(&time, &parts);
  return fmt::format("{:04}{:02}{:02}T{:02}{:02}{:02}Z", parts.tm_year + 1900, parts.tm_mon + 1,
                     parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
}

}  // namespace phalanx
