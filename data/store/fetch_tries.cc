#include "data/store/fetch_tries.h"

#include <fmt/format.h>

#include <algorithm>

#include "data/store/fetch_policy.h"

namespace phalanx {
namespace {

constexpr double kLastWait = 0.05;  // a shorter one is not worth another try
constexpr int kMaxWrong = 2;  // something between the store and here may have damaged the first

std::string times(int count) { return count == 1 ? "once" : fmt::format("{} times", count); }

constexpr int64_t kNewsBytes = int64_t{1} << 20;  // so much more counts as something new

/// Apart from rank to rank: what differs between processes decides nothing but when they ask.
uint64_t draw_of(double now) {
  const auto ticks = static_cast<uint64_t>(now * 1e9);
  return (ticks ^ ticks >> 29) * 0x9E3779B97F4A7C15ULL;
}

}  // namespace

FetchTries::FetchTries(std::vector<std::string> addresses, Patience patience, double now,
                       Absence absence)
    : patience_(std::move(patience)), absence_(absence), begun_(now), progress_(now) {
  for (std::string& address : addresses) places_.push_back({std::move(address)});
}

void FetchTries::reached(int64_t bytes, double now) {
  if (bytes < furthest_ + kNewsBytes) return;
  furthest_ = bytes;
  progress_ = now;
  rounds_ = 0;
}

/// The next place that is not out, the same one if it is the last; false: none is left.
bool FetchTries::find_next() {
  for (size_t i = 1; i <= places_.size(); ++i) {
    const size_t next = (place_ + i) % places_.size();
    if (places_[next].out) continue;
    if (next <= place_) ++rounds_;
    place_ = next;
    return true;
  }
  return false;
}

double FetchTries::failed(Failure failure, const std::string& text, const HttpAnswer& answer,
                          double now) {
  Place& place = places_[place_];
  ++num_failures_;
  ++place.failures;
  place.last = text;
  place.absent = failure == Failure::kAbsent;
  if (failure == Failure::kWrongBytes) ++place.wrong;
  place.out =
      failure == Failure::kAbsent || failure == Failure::kRefused || place.wrong == kMaxWrong;
  absent_ = is_absent();
  if (absent_) give_up(std::errc::no_such_file_or_directory, now);
  const int rounds_before = rounds_;
  if (!find_next()) give_up(std::errc::io_error, now);
  const int64_t wall = static_cast<int64_t>(time(nullptr));
  const double wait =
      rounds_ == rounds_before ? 0 : wait_seconds(rounds_, answer, draw_of(now), wall);
  const double left = patience_.seconds - (now - progress_);
  if (places_[place_].failures == 0 || wait <= left) return wait;
  // The last try is made when the patience ends, but not before the store wants it.
  if (left < kLastWait || answer.headers.contains("retry-after")) {
    give_up(std::errc::timed_out, now);
  }
  return left;
}

bool FetchTries::is_absent() const {
  const auto says_so = [](const Place& place) { return place.absent; };
  if (absence_ == Absence::kAllSay) return std::all_of(places_.begin(), places_.end(), says_so);
  return std::any_of(places_.begin(), places_.end(), says_so) &&
         std::all_of(places_.begin(), places_.end(), [](const Place& p) { return p.failures > 0; });
}

void FetchTries::give_up(std::errc code, double now) {
  std::string text = "fetch ";
  for (const Place& place : places_) {
    if (place.failures == 0) continue;
    if (&place != &places_.front()) text += "; ";
    text += fmt::format("{}: {} ({})", place.address, place.last, times(place.failures));
  }
  throw StoreError(
      code,
      fmt::format(
          "{}; given up after {} in {:.1f} s{}", text,
          num_failures_ == 1 ? "one try" : fmt::format("{} tries", num_failures_), now - begun_,
          code == std::errc::timed_out
              ? fmt::format(", nothing new for {:.0f} s ({})", now - progress_, patience_.setting)
              : ""));
}

}  // namespace phalanx
