#pragma once
// What the thread sanitizer cannot follow is skipped under it, and said: the barriers of LibTorch's
// OpenMP, which is not instrumented, and threads in a child of a process that has had some.
#include <gtest/gtest.h>

namespace phalanx {

#ifdef __SANITIZE_THREAD__
inline constexpr bool kThreadSanitizer = true;
#else
inline constexpr bool kThreadSanitizer = false;
#endif

}  // namespace phalanx

/// As the first statement of a test.
#define SKIP_UNDER_THREAD_SANITIZER(what) \
  if (phalanx::kThreadSanitizer) GTEST_SKIP() << "the thread sanitizer does not follow " << (what)
