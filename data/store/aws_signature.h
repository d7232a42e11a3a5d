#pragma once
// AWS Signature Version 4, by which requests to S3 and what is compatible with it are signed.
//
// Local, pure: the time is an argument. Source: "Create a signed AWS API request", IAM User Guide;
// tested with the vectors published there and in the S3 API Reference, and against botocore.
// The secret key never leaves sign_request(); what it returns may be sent, not printed.
#include <map>
#include <string>
#include <string_view>

namespace phalanx {

/// Keys of an account, from the environment or the AWS files. Never printed or stored.
struct AwsKeys {
  std::string access_key_id;
  std::string secret_access_key;
  std::string session_token;  // of temporary keys; else empty

  bool empty() const { return access_key_id.empty(); }
};

/// Names in lower case, each once.
using HttpHeaders = std::map<std::string, std::string>;

struct SignedRequest {
  std::string method = "GET";
  std::string path;          // already percent-encoded, from the slash on
  std::string query;         // canonical: sorted and encoded; empty: none
  HttpHeaders headers;       // with host; all of them are signed
  std::string payload_hash;  // SHA-256 of the body in hexadecimal
};

struct SigningScope {
  std::string region;
  std::string service = "s3";
  std::string time;  // "20130524T000000Z"
};

/// Hash of no body at all.
[[nodiscard]] std::string empty_payload_hash();

[[nodiscard]] std::string canonical_request(const SignedRequest& request);
[[nodiscard]] std::string string_to_sign(const SignedRequest& request, const SigningScope& scope);
/// The value of the header Authorization.
[[nodiscard]] std::string authorization(const SignedRequest& request, const SigningScope& scope,
                                        const AwsKeys& keys);

/// A GET or HEAD of S3 with all headers it needs: host, x-amz-date, x-amz-content-sha256, for
/// temporary keys x-amz-security-token, and authorization.
[[nodiscard]] HttpHeaders sign_s3_request(std::string_view method, std::string_view host,
                                          std::string_view path, const HttpHeaders& others,
                                          const SigningScope& scope, const AwsKeys& keys);

}  // namespace phalanx
