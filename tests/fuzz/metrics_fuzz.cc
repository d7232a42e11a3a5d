// metrics.jsonl of an earlier start: whatever stands there, the next attempt follows the last whole
// line that has one, and a torn tail changes nothing; nor does it change where the run stands.
#include "tests/fuzz/fuzz.h"
#include "trainer/metrics/attempts.h"
#include "trainer/metrics/last_step.h"

namespace phalanx::fuzz {
namespace {

int64_t attempt_after(std::string_view text) {
  const std::filesystem::path file = folder() / "metrics.jsonl";
  spill(file, text);
  return next_attempt(file);
}

int64_t step_after(std::string_view text) {
  const std::filesystem::path file = folder() / "metrics.jsonl";
  spill(file, text);
  const auto last = read_last_step(file);
  return last ? last->step : -1;
}

void check(std::string_view input) {
  require(attempt_after(input) >= 0, "attempts are counted from 0");
  const std::string ours = std::string(input) + "\n{\"step\":1,\"attempt\":41}\n";
  require(attempt_after(ours) == 42, "the last line counts");
  require(attempt_after(ours + "{\"step\":2,\"attempt\":9") == 42, "a torn line is none");
  require(step_after(input) >= -1, "steps are counted from 0");
  require(step_after(ours + "{\"step\":2") == 1, "the last whole line is where the run stands");
}

}  // namespace
}  // namespace phalanx::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  phalanx::fuzz::check(phalanx::fuzz::text_of(data, size));
  return 0;
}
