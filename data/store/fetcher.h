#pragma once
// Fetches one file after another, each with as many tries as it takes: broken transfers go on where
// they stopped, and what came is the file that the manifest describes, or an error.
//
// Local. One owner; one connection. Nothing is believed: not the length that a store tells, nor a
// body of the right length before its hash has been compared. Errors: StoreError (fetch_tries.h);
// FetchStopped when stopped() says so; what the target throws, as for a full disk.
#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "data/shards/file_source.h"
#include "data/store/fetch_tries.h"
#include "data/store/store_request.h"

namespace phalanx {

/// The same data set, in the order in which its places are asked.
using Places = std::vector<StoreUrl>;

/// Where a body goes.
class FetchTarget {
 public:
  virtual ~FetchTarget() = default;
  virtual int64_t size() const = 0;
  virtual void append(std::span<const std::byte> bytes) = 0;
  /// Empty again.
  virtual void restart() = 0;
  virtual uint64_t xxh3() const = 0;
};

/// A small file of which nothing is known.
struct FetchedText {
  std::optional<std::string> text;  // nothing: no place has it
  std::string refusal;              // then: what the places said
};

class FetchStopped final : public std::runtime_error {
 public:
  FetchStopped() : std::runtime_error("a fetch was stopped") {}
};

class Fetcher {
 public:
  /// `stopped` ends a transfer too, `unwanted` only what follows one that failed.
  Fetcher(
      const RequestMaker& requests, const HttpLimits& limits, Patience patience,
      std::function<bool()> stopped, std::function<bool()> unwanted = [] { return false; });

  /// `target` holds the whole file afterwards. How often it failed before. `waited`: seconds of the
  /// patience that are gone already.
  int fetch(const Places& places, const DatasetFile& file, FetchTarget& target, double waited = 0);
  /// A place that says no is believed where the others give no answer.
  [[nodiscard]] FetchedText text(const Places& places, const std::string& name, int64_t max_bytes);
  /// That the first place that answers has the file with its size.
  void check(const Places& places, const DatasetFile& file);

 private:
  /// A try: nothing when it did it, else what failed.
  struct Problem {
    Failure failure;
    std::string text;
    HttpAnswer answer;
  };
  using Try = std::function<std::optional<Problem>(const StoreUrl& url, FetchTries& tries)>;
  void try_until_done(FetchTries& tries, const Places& places, const std::string& name,
                      const Try& attempt);
  FetchTries tries_for(const Places& places, const std::string& name, double waited,
                       Absence absence) const;
  std::optional<Problem> fetch_once(const StoreUrl& url, const DatasetFile& file,
                                    FetchTarget& target, FetchTries& tries);
  Problem problem_of(const StoreUrl& url, const HttpAnswer& answer) const;
  HttpAnswer send(const StoreUrl& url, const HttpHeaders& headers, const HttpSink& sink);
  void pause(double seconds) const;

  const RequestMaker& requests_;
  Patience patience_;
  std::function<bool()> stopped_, unwanted_;
  HttpClient client_;
  std::string etag_, etag_of_;  // of the transfer that broke, and its address
};

}  // namespace phalanx
