#pragma once
// One run's part of a report's data, as JSON: curves over tokens, mixture, timeline. Local, pure.
// Numbers have six digits, more than a picture shows; what is not finite is left out or null.
#include <string>

#include "launch/report/run_summary.h"

namespace phalanx {

/// `max_points` of each curve of a step; those of sources get half.
[[nodiscard]] std::string curves_json(const RunSummary& run, size_t max_points);

/// To six significant digits, so that JSON writes no more.
[[nodiscard]] double rounded(double value);

/// JSON that may stand in a script element: no `<` in it. Bytes that are not UTF-8 become U+FFFD.
template <class Json>
std::string page_json(const Json& json) {
  const std::string text = json.dump(-1, ' ', true, Json::error_handler_t::replace);
  std::string safe;
  for (const char c : text) {
    if (c == '<') {
      safe += "\\u003c";
    } else {
      safe += c;
    }
  }
  return safe;
}

}  // namespace phalanx
