#pragma once
// What was found about a step's loss and gradient norm (StepGuard). Plain values.
#include <string>

namespace phalanx {

enum class Suspicion { kNone, kNotFinite, kSpike };
/// Of a suspicious step that was computed again. kRepeated: the same again, with no other replica
/// to ask.
enum class Verdict { kNone, kTransient, kReal, kRepeated };

struct StepReview {
  Suspicion suspicion = Suspicion::kNone;  // that was left at the end: the step was passed over
  Verdict verdict = Verdict::kNone;
  std::string note;  // for people; empty: nothing to say
};

/// As in metrics.jsonl: `not_finite`, `spike`; `transient`, `real`, `repeated`; else `none`.
const char* name_of(Suspicion suspicion);
const char* name_of(Verdict verdict);

}  // namespace phalanx
