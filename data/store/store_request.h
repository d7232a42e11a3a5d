#pragma once
// From the URL of a file to the request that asks for it, signed where it is of S3.
// Local; any number of threads. Pure but for the time and the keys, which are asked for each time:
// while their file is being written anew, the ones before hold.
// Errors: std::invalid_argument naming the endpoint, or what is wrong with the AWS files.
#include <atomic>
#include <functional>
#include <mutex>
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
  /// What helps where a store of this URL forbids, and what was wrong with the keys' file last.
  [[nodiscard]] std::string advice_on_keys(const StoreUrl& url) const;

  /// A store of this URL gave what was asked for, so that keys which it refuses later have run out.
  void note_accepted(const StoreUrl& url) const;
  bool has_accepted_keys() const { return accepted_; }

 private:
  struct Address {
    std::string scheme, host, path;
  };
  /// Of s3://; the endpoint as scheme, host and path.
  struct Server {
    Address endpoint;
    std::string region;
    bool bucket_in_path = true;
  };
  const Server& server() const;
  AwsKeys keys() const;
  Address address_of(const StoreUrl& url) const;

  StoreSettings settings_;
  StoreEnvironment environment_;
  mutable std::once_flag server_found_;
  mutable Server server_;
  mutable std::mutex mutex_;                // guards the keys
  mutable AwsKeys keys_now_, keys_before_;  // as they were found last, and before those
  mutable std::string keys_problem_;        // since then
  mutable std::atomic<bool> accepted_ = false;
};

/// "20130524T000000Z" of seconds since 1970.
[[nodiscard]] std::string signing_time(int64_t seconds);

}  // namespace phalanx
