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

/// As much of a refused URL as is no secret: what stands before an @ may be a password, and behind
/// a ? a signature.
std::string shown(const std::string& text) {
  const size_t begin = text.find(kSeparator) + kSeparator.size();
  if (text.find('@', begin) != std::string::npos) return text.substr(0, begin) + "...";
  const size_t query = text.find_first_of("?#");
  return query == std::string::npos ? text : text.substr(0, query + 1) + "...";
}

[[noreturn]] void refuse(const std::string& text, std::string_view expected) {
  throw std::invalid_argument(fmt::format("{}: expected {}", shown(text), expected));
}

bool has_bad_port(const std::string& authority) {
  const size_t colon = authority.find(':', authority.rfind(']') + 1);  // behind an IPv6 address
  return colon != std::string::npos &&
         authority.find_first_not_of("0123456789", colon + 1) != std::string::npos;
}

void check_authority(const StoreUrl& url, const std::string& text) {
  if (url.authority.empty()) {
    refuse(text, url.scheme == "s3" ? "a bucket after s3://" : "a host after the ://");
  }
  for (const char c : url.authority) {
    if (may_stand_in_authority(c)) continue;
    refuse(text,
           c == '@' ? "no user or password in a URL, which is kept with each checkpoint: keys come "
                      "from the environment or the AWS files"
                    : fmt::format("a host after the ://, found '{}' in it", c));
  }
  if (has_bad_port(url.authority)) refuse(text, "digits after the : of a host");
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
    refuse(text, fmt::format(
                     "a folder, or a URL that begins with https://, http:// or s3://, found {}://",
                     url.scheme));
  }
  const size_t begin = separator + kSeparator.size();
  const size_t slash = std::min(text.find_first_of("/?#", begin), text.size());
  url.authority = text.substr(begin, slash - begin);
  url.path = text.substr(slash);
  while (url.path.ends_with('/')) url.path.pop_back();
  check_authority(url, text);
  if (url.path.find_first_of("?#") != std::string::npos) {
    refuse(text,
           "no query in a URL, which is kept with each checkpoint and could hold a signature");
  }
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
