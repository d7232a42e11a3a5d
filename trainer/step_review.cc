#include "trainer/step_review.h"

namespace phalanx {

const char* name_of(Suspicion suspicion) {
  switch (suspicion) {
    case Suspicion::kNone:
      return "none";
    case Suspicion::kNotFinite:
      return "not_finite";
    case Suspicion::kSpike:
      break;
  }
  return "spike";
}

const char* name_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::kNone:
      return "none";
    case Verdict::kTransient:
      return "transient";
    case Verdict::kReal:
      return "real";
    case Verdict::kRepeated:
      break;
  }
  return "repeated";
}

}  // namespace phalanx
