#pragma once
// From the URL of a file to the request that asks for it, signed where it is of S3.
// Local, pure but for the time and the keys, which are asked for.
// Errors: std::invalid_argument naming the endpoint.
#include <string>

#include "data/store/http_client.h"
#include "data/store/store_settings.h"
#include "data/store/store_url.h"

namespace phalanx {

class RequestMaker {
 public:
  RequestMaker(const StoreSettings& settings, const StoreEnvironment& environment);

  /// `others` are headers besides those that the store needs, as range.
  [[nodiscard]] HttpRequest make(const StoreUrl& url, const HttpHeaders& others) const;

  /// Where a file of s3:// is asked for, and others as they are: for messages and requests.
  [[nodiscard]] std::string address(const StoreUrl& url) const;

  /// `text` without the keys of the machine, should a store have sent them back.
  [[nodiscard]] std::string without_keys(std::string text) const;
  /// What helps where a store of this URL forbids.
  [[nodiscard]] std::string advice_on_keys(const StoreUrl& url) const;

 private:
  struct Address {
    std::string scheme, host, path;
  };
  Address address_of(const StoreUrl& url) const;

  std::function<AwsKeys()> keys_;
  std::string region_;
  std::string endpoint_scheme_, endpoint_host_, endpoint_path_;
  bool bucket_in_path_ = true;
};

/// "20130524T000000Z" of seconds since 1970.
[[nodiscard]] std::string signing_time(int64_t seconds);

}  // namespace phalanx
