#pragma once
// The tries for one file: at which of its places next, after how long a wait, and when it is over.
//
// Local, pure: the time is an argument, in seconds of any clock that rises. A data set that lies in
// several places is asked for in their order; a place that says no, or twice gave other bytes, is
// not asked again. It is over when no place is left, or nothing new came for `patience_seconds`.
// Errors: StoreError with each place's URL, its last answer, how often it was asked and for how
// long.
#include <cstdint>
#include <string>
#include <system_error>
#include <vector>

#include "data/store/http_client.h"

namespace phalanx {

/// A store that gives no answer, a bad one or other bytes. The text is whole as it is.
class StoreError final : public std::system_error {
 public:
  StoreError(std::errc code, std::string text)
      : std::system_error(std::make_error_code(code)), text_(std::move(text)) {}
  const char* what() const noexcept override { return text_.c_str(); }

 private:
  std::string text_;
};

enum class Failure {
  kMayPass,     // a try later may do better
  kWrongBytes,  // the place gave bytes that are not the file's
  kAbsent,      // the place does not have the file
  kRefused,     // it will not give it
};

/// Whose word it takes that there is no such file: of a file that must be there all places', of one
/// that may be there one's, once each has been asked.
enum class Absence { kAllSay, kOneSays };

/// For how long, in seconds, and the setting that says so.
struct Patience {
  Patience(double of, std::string name = "data.store.patience")
      : seconds(of), setting(std::move(name)) {}
  double seconds;
  std::string setting;
};

class FetchTries {
 public:
  /// `addresses` are those of the file at each of its places.
  FetchTries(std::vector<std::string> addresses, Patience patience, double now,
             Absence absence = Absence::kAllSay);

  /// Index of the place to ask.
  size_t place() const { return place_; }
  /// So much of the file has come, in this try or over several.
  void reached(int64_t bytes, double now);
  /// The place at hand failed; `text` says how. The seconds to wait before place() is asked.
  double failed(Failure failure, const std::string& text, const HttpAnswer& answer, double now);
  /// The file is not there: then failed() has thrown.
  bool absent() const { return absent_; }
  int num_failures() const { return num_failures_; }

 private:
  struct Place {
    std::string address;
    bool out = false;
    bool absent = false;
    int failures = 0, wrong = 0;
    std::string last = {};
  };
  bool find_next();
  bool is_absent() const;
  [[noreturn]] void give_up(std::errc code, double now);

  std::vector<Place> places_;
  Patience patience_;
  Absence absence_;
  double begun_, progress_;
  int64_t furthest_ = 0;  // bytes
  size_t place_ = 0;
  int num_failures_ = 0, rounds_ = 0;
  bool absent_ = false;
};

}  // namespace phalanx
