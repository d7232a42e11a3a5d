#pragma once
// Where a data set lies in a store: https://host/prefix, http://host/prefix or s3://bucket/prefix.
//
// Local, pure. A URL of a configuration is written into checkpoints and messages, so it may hold
// nothing that gives access: a user's name or password in it, or a query, is refused.
// Errors: std::invalid_argument with the URL up to where a secret could begin, expected and found.
#include <string>
#include <string_view>

namespace phalanx {

/// Whether `path` names a store rather than a folder: something before "://".
[[nodiscard]] bool is_store_url(std::string_view path);

struct StoreUrl {
  std::string scheme;     // http, https or s3
  std::string authority;  // host, with its port where it has one; of s3 the bucket
  std::string path;       // "/web/train" or empty; as written, without a slash at its end

  /// With NAME below its path.
  [[nodiscard]] StoreUrl below(std::string_view name) const;
  [[nodiscard]] std::string text() const;
  bool operator==(const StoreUrl&) const = default;
};

[[nodiscard]] StoreUrl parse_store_url(const std::string& text);

/// RFC 3986: all but letters, digits and -._~ as %XX, and slashes where `keep_slashes` says so.
[[nodiscard]] std::string percent_encoded(std::string_view text, bool keep_slashes);

}  // namespace phalanx
