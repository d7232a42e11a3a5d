#include "launch/restart_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "parallel/exit_codes.h"

namespace phalanx {
namespace {

constexpr int kConfigError = 78;  // of other programs; ours says 2
constexpr int kCannotRun = 126, kNotFound = 127;
constexpr int kSignals = 128;
constexpr double kLongestDelay = 60.0;

constexpr int code(ExitCode value) { return static_cast<int>(value); }

bool is_worth_repeating(int exit_code) {
  switch (exit_code) {
    case code(ExitCode::kBadInput):
    case code(ExitCode::kFaultyHardware):  // the same machine would do it again
    case code(ExitCode::kNonFinite):
    case kConfigError:
    case kCannotRun:
    case kNotFound:
      return false;
    default:
      return true;
  }
}

}  // namespace

std::string meaning_of_exit(int exit_code) {
  switch (exit_code) {
    case code(ExitCode::kDone):
      return "finished";
    case code(ExitCode::kBug):
      return "an internal error, or one of the launcher";
    case code(ExitCode::kBadInput):
      return "bad input, or a failing machine";
    case code(ExitCode::kFaultyHardware):
      return "a machine computed or kept something wrong";
    case code(ExitCode::kUnavailable):
      return "a service gave no answer, as a store";
    case code(ExitCode::kStopped):
      return "stopped on request, saved";
    case code(ExitCode::kHang):
      return "a rank hung";
    case code(ExitCode::kNonFinite):
      return "loss or gradient norm stayed non-finite, or a spike ended the run";
    case kConfigError:
      return "a configuration error";
    case kCannotRun:
    case kNotFound:
      return "the command cannot be started";
    default:
      return exit_code > kSignals
                 ? fmt::format("a process was killed by signal {}", exit_code - kSignals)
                 : "an error that has no name";
  }
}

std::string meaning_of(const AttemptEnd& end) {
  const bool by_signal = end.exit_code == code(ExitCode::kBug) || end.exit_code > kSignals;
  return end.stop_asked && by_signal ? "ended by the signal that was passed on to it, not saved"
                                     : meaning_of_exit(end.exit_code);
}

bool is_failure(const AttemptEnd& end) {
  return end.exit_code != code(ExitCode::kDone) && end.exit_code != code(ExitCode::kStopped);
}

Judgement judge(const AttemptEnd& end, int64_t failures, int64_t restarts,
                const RestartRules& rules) {
  if (end.exit_code == code(ExitCode::kDone)) return {};
  if (end.stop_asked) return {false, "asked to stop"};
  if (end.exit_code == code(ExitCode::kStopped) && !rules.restart_stopped) {
    return {false, "a stop is obeyed (--restart-stopped goes on)"};
  }
  if (!is_worth_repeating(end.exit_code)) {
    return {false, "another attempt would end the same way"};
  }
  const bool outage = end.exit_code == code(ExitCode::kUnavailable);
  if (failures >= (outage ? std::max(kMaxOutages, rules.max_failures) : rules.max_failures)) {
    return {false, fmt::format("{} failures in a row without a new checkpoint", failures)};
  }
  if (rules.max_restarts > 0 && restarts >= rules.max_restarts) {
    return {false, fmt::format("it was restarted {} times", restarts)};
  }
  return {true, ""};
}

double restart_delay_seconds(int64_t failures) {
  return std::min(kLongestDelay, std::exp2(double(std::min<int64_t>(failures, 10))) - 1);
}

}  // namespace phalanx
