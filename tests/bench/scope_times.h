#pragma once
// Where the time of a step goes: seconds in each named part of the program (RECORD_USER_SCOPE),
// the parts inside it taken off. Watches the thread that made it, from then until it ends; one at
// a time.
#include <ATen/record_function.h>

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace phalanx {

class ScopeTimes {
 public:
  ScopeTimes() {
    handle_ =
        at::addThreadLocalCallback(at::RecordFunctionCallback(&ScopeTimes::begin, &ScopeTimes::end)
                                       .scopes({at::RecordScope::USER_SCOPE}));
    current() = this;
  }
  ~ScopeTimes() {
    at::removeCallback(handle_);
    current() = nullptr;
  }
  ScopeTimes(const ScopeTimes&) = delete;
  ScopeTimes& operator=(const ScopeTimes&) = delete;

  const std::map<std::string, double>& seconds() const { return seconds_; }

 private:
  using Clock = std::chrono::steady_clock;
  struct Open {
    std::string name;
    Clock::time_point start;
    double inside = 0.0;
  };

  static ScopeTimes*& current() {
    thread_local ScopeTimes* watcher = nullptr;
    return watcher;
  }
  static std::unique_ptr<at::ObserverContext> begin(const at::RecordFunction& function) {
    current()->open_.push_back({function.name(), Clock::now()});
    return nullptr;
  }
  static void end(const at::RecordFunction&, at::ObserverContext*) {
    ScopeTimes& times = *current();
    const Open scope = times.open_.back();
    times.open_.pop_back();
    const double all = std::chrono::duration<double>(Clock::now() - scope.start).count();
    times.seconds_[scope.name] += all - scope.inside;
    if (!times.open_.empty()) times.open_.back().inside += all;
  }

  at::CallbackHandle handle_ = 0;
  std::vector<Open> open_;
  std::map<std::string, double> seconds_;
};

}  // namespace phalanx
