#pragma once
// How data sets in stores are fetched: what a configuration says, and what the machine adds to it.
// Plain values. Bytes and seconds as the names say.
#include <cstdint>
#include <functional>
#include <string>

#include "data/store/aws_signature.h"

namespace phalanx {

/// How a bucket is named in a request to S3: https://host/bucket/key or https://bucket.host/key.
enum class S3Addressing { kAuto, kPath, kVirtual };

/// The part that a configuration holds (data.store).
struct StoreSettings {
  std::string endpoint;  // of s3://; empty: the machine's, else Amazon's of the region
  std::string region;    // empty: the machine's, else us-east-1
  S3Addressing addressing = S3Addressing::kAuto;  // virtual at Amazon's, path elsewhere
  std::string cache;                              // folder; empty: one in the machine's
  int64_t cache_bytes = int64_t{64} << 30;
  int64_t connections = 4;        // of a process, at a time
  double patience_seconds = 300;  // without anything new from a store, then the run ends
};

/// Of s3://, where the configuration says nothing.
struct S3Defaults {
  std::string endpoint, region;
};

/// What the program finds in its environment and in the AWS files, which are read when an s3://
/// URL asks for it.
struct StoreEnvironment {
  /// Asked for each request, since temporary keys are replaced while a run goes on. Keys that are
  /// empty: requests are not signed.
  std::function<AwsKeys()> keys = [] { return AwsKeys{}; };
  std::function<S3Defaults()> s3 = [] { return S3Defaults{}; };
  std::string ca_file;                        // certificates of authorities; empty: the system's
  std::string temporary_folder = "/var/tmp";  // of the host, for a cache that is named nowhere
};

}  // namespace phalanx
