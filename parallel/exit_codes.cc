#include "parallel/exit_codes.h"

#include <c10/util/Exception.h>

#include <new>
#include <string_view>
#include <system_error>

namespace phalanx {
namespace {

/// LibTorch's allocator for the host throws its general error.
bool lacks_host_memory(const c10::Error& error) {
  const std::string_view text = error.what_without_backtrace();
  return text.find("DefaultCPUAllocator: can't allocate memory") != std::string_view::npos;
}

/// What was asked for when there was no memory left; null: something else went wrong.
const char* lacking_memory(const std::exception& error) {
  if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr) return error.what();
  const auto* of_torch = dynamic_cast<const c10::Error*>(&error);
  if (of_torch == nullptr) return nullptr;
  const bool of_device = dynamic_cast<const c10::OutOfMemoryError*>(of_torch) != nullptr;
  return of_device || lacks_host_memory(*of_torch) ? of_torch->what_without_backtrace() : nullptr;
}

bool has_timed_out(const std::exception& error) {
  const auto* failure = dynamic_cast<const std::system_error*>(&error);
  return failure != nullptr && failure->code() == std::errc::timed_out;
}

}  // namespace

ExitCode exit_code_of(const std::exception& error) {
  if (const auto* known = dynamic_cast<const ExitError*>(&error)) return known->code();
  if (has_timed_out(error)) return ExitCode::kUnavailable;
  const bool bad_input = dynamic_cast<const std::invalid_argument*>(&error) != nullptr ||
                         dynamic_cast<const std::system_error*>(&error) != nullptr ||
                         lacking_memory(error) != nullptr;
  return bad_input ? ExitCode::kBadInput : ExitCode::kBug;
}

std::string error_text(const std::exception& error) {
  const char* lacking = lacking_memory(error);
  return lacking == nullptr ? error.what() : std::string("out of memory: ") + lacking;
}

}  // namespace phalanx
