#pragma once
// How the program ends: the table of exit codes, and the exceptions that carry one.
//
// Local. An exception that carries no code of its own is mapped by exit_code_of(): bad input and
// machine failures (std::invalid_argument, std::system_error, memory that is not to be had) end
// with 2, a std::system_error of std::errc::timed_out with 69, all else is a bug.
#include <exception>
#include <stdexcept>
#include <string>

namespace phalanx {

/// 17 and 78 stay reserved for suspected hardware.
enum class ExitCode : int {
  kDone = 0,
  kBug = 1,
  kBadInput = 2,
  kFaultyHardware = 16,  // a rank computed or kept something wrong; the message names it
  kUnavailable = 69,     // a service gave no answer for long, as a store; later it may
  kStopped = 75,         // stopped on request; the run can be resumed
  kHang = 76,            // a rank made no progress within its deadline
  kNonFinite = 77,  // the loss or the gradient norm stayed non-finite, or a spike stops the run
};

/// An error that knows the code to end with.
class ExitError : public std::runtime_error {
 public:
  ExitError(ExitCode code, const std::string& text) : std::runtime_error(text), code_(code) {}
  ExitCode code() const { return code_; }

 private:
  ExitCode code_;
};

class StoppedError final : public ExitError {
 public:
  explicit StoppedError(const std::string& text) : ExitError(ExitCode::kStopped, text) {}
};

class NonFiniteError final : public ExitError {
 public:
  explicit NonFiniteError(const std::string& text) : ExitError(ExitCode::kNonFinite, text) {}
};

ExitCode exit_code_of(const std::exception& error);

/// What to say of it: its own text, without the stack that LibTorch's errors carry where the host
/// had no memory left, and with a word on what std::bad_alloc means.
std::string error_text(const std::exception& error);

}  // namespace phalanx
