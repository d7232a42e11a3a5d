#pragma once
// Every open(2) of the program counted: for an executable linked with -Wl,--wrap=open, included by
// one of its sources.
#include <fcntl.h>

#include <atomic>
#include <cstdarg>
#include <cstdint>
#include <functional>
#include <string>

namespace phalanx::testing {
// The wrapped call can reach them by no other way.
inline std::atomic<int64_t> num_opens{0};
inline std::function<void(const std::string& path)> on_open;  // before the file is opened, if set
}  // namespace phalanx::testing

extern "C" {
int __real_open(const char* path, int flags, ...);
int __wrap_open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const int mode = (flags & O_CREAT) != 0 ? va_arg(arguments, int) : 0;
  va_end(arguments);
  ++phalanx::testing::num_opens;
  if (phalanx::testing::on_open) phalanx::testing::on_open(path);
  return __real_open(path, flags, mode);
}
}
