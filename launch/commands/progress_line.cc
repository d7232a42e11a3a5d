#include "launch/commands/progress_line.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

namespace phalanx {

ProgressLine::ProgressLine() : terminal_(::isatty(STDERR_FILENO) == 1) {}

void ProgressLine::show(const std::string& text) {
  const auto now = std::chrono::steady_clock::now();
  const auto pause = std::chrono::milliseconds(terminal_ ? 100 : 10000);
  if (now - last_ < pause) return;
  last_ = now;
  fmt::print(stderr, "{}{}{}", terminal_ ? "\r\x1b[K" : "", text, terminal_ ? "" : "\n");
  std::fflush(stderr);
  shown_ = true;
}

void ProgressLine::finish() {
  if (terminal_ && shown_) fmt::print(stderr, "\r\x1b[K");
  shown_ = false;
}

}  // namespace phalanx
