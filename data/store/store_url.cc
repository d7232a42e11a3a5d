#include "data/store/store_url.h"

#include <fmt/format.h>

#include <stdexcept>

namespace phalanx {
namespace {

constexpr std::string_view kSeparator = "://";

bool is_unreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

/// Letters that stand in a host's name, a bucket's or a port, and brackets of IPv6.
bool may_stand_in_authority(char c) { return is_unreserved(c) || c == ':' || c == '[' || c == ']'; }

[[noreturn]] void refuse(std::string_view shown, std::string_view expected) {
  throw std::invalid_argument(fmt::format("{}: expected {}", shown, expected));
}

void check_authority(const StoreUrl& url, const std::string& text) {
  const size_t begin = text.find(kSeparator) + kSeparator.size();
  if (url.authority.empty()) {
    refuse(text, url.scheme == "s3" ? "a bucket after s3://" : "a host after the ://");
  }
  for (const char c : url.authority) {
    if (may_stand_in_authority(c)) continue;
    // What follows the scheme may be a password; it is not repeated.
    refuse(fmt::format("{}...", text.substr(0, begin)),
           c == '@' ? "no user or password in a URL, which is kept with each checkpoint: keys come "
                      "from the environment or the AWS files"
                    : fmt::format("a host after the ://, found '{}' in it", c));
  }
}

}  // namespace

bool is_store_url(std::string_view path) { return path.find(kSeparator) != std::string_view::npos; }

StoreUrl StoreUrl::below(std::string_view name) const {
  return {scheme, authority, fmt::format("{}/{}", path, name)};
}

std::string StoreUrl::text() const { return fmt::format("{}://{}{}", scheme, authority, path); }

StoreUrl parse_store_url(const std::string& text) {
  const size_t separator = text.find(kSeparator);
  StoreUrl url;
  url.scheme = text.substr(0, separator);
  if (separator == std::string::npos ||
      (url.scheme != "http" && url.scheme != "https" && url.scheme != "s3")) {
    refuse(
        text.substr(0, text.find('?')),
        fmt::format("a folder, or a URL that begins with https://, http:// or s3://, found {}://",
                    url.scheme));
  }
  const size_t query = text.find_first_of("?#");
  if (query != std::string::npos) {
    refuse(fmt::format("{}...", text.substr(0, query + 1)),
           "no query in a URL, which is kept with each checkpoint and could hold a signature");
  }
  const size_t begin = separator + kSeparator.size();
  const size_t slash = std::min(text.find('/', begin), text.size());
  url.authority = text.substr(begin, slash - begin);
  url.path = text.substr(slash);
  while (url.path.ends_with('/')) url.path.pop_back();
  check_authority(url, text);
  return url;
}

std::string percent_encoded(std::string_view text, bool keep_slashes) {
  std::string encoded;
  for (const char c : text) {
    if (is_unreserved(c) || (c == '/' && keep_slashes)) {
      encoded.push_back(c);
    } else {
      encoded += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return encoded;
}

}  // namespace phalanx
