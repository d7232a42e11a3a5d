#include "configs/store_schema.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <stdexcept>

#include "configs/units.h"
#include "configs/value_schema.h"
#include "configs/values.h"

namespace phalanx {
namespace {

using enum Tag;

[[noreturn]] void refuse(const std::string& accepts, const std::string& found) {
  throw std::invalid_argument(fmt::format("expected {}, got {}", accepts, found));
}

const std::string& text_of(const ConfigNode& node, const std::string& accepts) {
  if (node.kind != ConfigNode::Kind::kScalar) refuse(accepts, describe_kind(node));
  return node.text;
}

std::string bytes_text(int64_t bytes) {
  constexpr int64_t kGibibyte = int64_t{1} << 30, kMebibyte = int64_t{1} << 20;
  if (bytes % kGibibyte == 0) return fmt::format("{}GiB", bytes / kGibibyte);
  if (bytes % kMebibyte == 0) return fmt::format("{}MiB", bytes / kMebibyte);
  return fmt::format("{}B", bytes);
}

}  // namespace

Value places_value(SourceConfig& source) {
  const std::string accepts = "a folder, a URL or a list of URLs";
  return {accepts,
          [&source, accepts](const ConfigNode& node) {
            source.mirrors.clear();
            if (node.kind != ConfigNode::Kind::kList) {
              source.path = text_of(node, accepts);
              return;
            }
            if (node.items.empty()) refuse(accepts, "an empty list");
            source.path = text_of(node.items.front(), accepts);
            for (size_t i = 1; i < node.items.size(); ++i) {
              source.mirrors.push_back(text_of(node.items[i], accepts));
            }
          },
          [&source] {
            if (source.mirrors.empty()) return quote_for_yaml(source.path);
            std::string text = "[" + quote_for_yaml(source.path);
            for (const std::string& mirror : source.mirrors) text += ", " + quote_for_yaml(mirror);
            return text + "]";
          },
          [] {
            return schema_of_any({schema_of_text(), schema_of_list(schema_of_text())});
          }};
}

Value bytes_value(int64_t& variable) {
  const std::string accepts = "a size in bytes (64GiB, 500MB)";
  return {accepts,
          [&variable, accepts](const ConfigNode& node) {
            const std::string& text = text_of(node, accepts);
            try {
              variable = parse_bytes(text);
            } catch (const std::invalid_argument&) {
              refuse(accepts, fmt::format("'{}'", text));
            }
          },
          [&variable] { return bytes_text(variable); }, schema_of_bytes};
}

void declare_store(SchemaVisitor& v, StoreSettings& c) {
  v.field(
      {"endpoint",
       "of s3://, as http://host:9000; empty: AWS_ENDPOINT_URL, a profile's, or Amazon's", kFree},
      text_value(c.endpoint));
  v.field({"region", "empty: AWS_REGION, that of the profile, or us-east-1", kFree},
          text_value(c.region));
  v.field(
      {"addressing",
       "of a bucket: in the path, or before the host (virtual); auto: virtual at Amazon's", kFree},
      enum_value<S3Addressing>(c.addressing, {{"auto", S3Addressing::kAuto},
                                              {"path", S3Addressing::kPath},
                                              {"virtual", S3Addressing::kVirtual}}));
  v.field({"cache",
           "folder on a disk of the host, shared by its ranks and runs; empty: "
           "phalanx-cache-USERID in TMPDIR, or in /var/tmp",
           kFree},
          text_value(c.cache));
  v.field({"cache_bytes", "of the cache; what was used longest ago goes first", kFree},
          bytes_value(c.cache_bytes));
  v.field({"connections", "of a rank at a time", kFree},
          integer_value(c.connections, 1, "connections"));
  v.field(
      {"patience",
       "without anything new of a file; then the run saves and ends with its URL (exit code 69)",
       kFree},
      seconds_value(c.patience_seconds));
}

}  // namespace phalanx
