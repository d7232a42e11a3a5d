#include "data/store/aws_signature.h"

#include <fmt/format.h>

#include "data/store/sha256.h"

namespace phalanx {
namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";

/// "host;range;x-amz-date": std::map has them in the order that is asked for.
std::string signed_names(const HttpHeaders& headers) {
  std::string names;
  for (const auto& [name, value] : headers) names += (names.empty() ? "" : ";") + name;
  return names;
}

/// Without spaces at the ends, and one where there were several.
std::string trimmed(std::string_view value) {
  std::string text;
  for (const char c : value) {
    if (c == ' ' && (text.empty() || text.back() == ' ')) continue;
    text.push_back(c);
  }
  if (text.ends_with(' ')) text.pop_back();
  return text;
}

std::string scope_text(const SigningScope& scope) {
  return fmt::format("{}/{}/{}/aws4_request", scope.time.substr(0, 8), scope.region, scope.service);
}

}  // namespace

std::string empty_payload_hash() { return hex_text(sha256("")); }

std::string canonical_request(const SignedRequest& request) {
  std::string lines;
  for (const auto& [name, value] : request.headers) {
    lines += fmt::format("{}:{}\n", name, trimmed(value));
  }
  return fmt::format("{}\n{}\n{}\n{}\n{}\n{}", request.method,
                     request.path.empty() ? "/" : request.path, request.query, lines,
                     signed_names(request.headers), request.payload_hash);
}

std::string string_to_sign(const SignedRequest& request, const SigningScope& scope) {
  return fmt::format("{}\n{}\n{}\n{}", kAlgorithm, scope.time, scope_text(scope),
                     hex_text(sha256(canonical_request(request))));
}

std::string authorization(const SignedRequest& request, const SigningScope& scope,
                          const AwsKeys& keys) {
  Sha256 key = hmac_sha256("AWS4" + keys.secret_access_key, scope.time.substr(0, 8));
  key = hmac_sha256(bytes_of(key), scope.region);
  key = hmac_sha256(bytes_of(key), scope.service);
  key = hmac_sha256(bytes_of(key), "aws4_request");
  const Sha256 signature = hmac_sha256(bytes_of(key), string_to_sign(request, scope));
  return fmt::format("{} Credential={}/{},SignedHeaders={},Signature={}", kAlgorithm,
                     keys.access_key_id, scope_text(scope), signed_names(request.headers),
                     hex_text(signature));
}

HttpHeaders sign_s3_request(std::string_view method, std::string_view host, std::string_view path,
                            const HttpHeaders& others, const SigningScope& scope,
                            const AwsKeys& keys) {
  SignedRequest request;
  request.method = method;
  request.path = path;
  request.headers = others;
  request.payload_hash = empty_payload_hash();
  request.headers["host"] = host;
  request.headers["x-amz-content-sha256"] = request.payload_hash;
  request.headers["x-amz-date"] = scope.time;
  if (!keys.session_token.empty()) request.headers["x-amz-security-token"] = keys.session_token;
  HttpHeaders headers = request.headers;
  headers["authorization"] = authorization(request, scope, keys);
  return headers;
}

}  // namespace phalanx
