#pragma once
// Progress of a command on stderr: one line rewritten on a terminal, a plain line every ten seconds
// elsewhere. Local; one thread.
#include <chrono>
#include <string>

namespace phalanx {

class ProgressLine {
 public:
  ProgressLine();
  ~ProgressLine() { finish(); }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  /// Shows `text`, unless the last one was shown a moment ago.
  void show(const std::string& text);
  /// Removes the line; what follows is printed in its place.
  void finish();

 private:
  bool terminal_;
  bool shown_ = false;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

}  // namespace phalanx
