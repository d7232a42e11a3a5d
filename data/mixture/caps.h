#pragma once
// How many rows a source may give, and what a plan that needs more must say. Local, pure.
// SEMANTICS.md sections 5 and 7.
#include <cstdint>
#include <vector>

#include "data/mixture/mixture_plan.h"

namespace phalanx {

/// Rows that source `k` may still give at the T of `stage` when its streams have given `drawn`.
int64_t rows_left(const MixturePlan& plan, size_t k, size_t stage,
                  const std::map<int64_t, int64_t>& drawn);

/// Tokens that a stage may read again because a source was read at another T before.
struct Repeat {
  int32_t stage = 0;
  size_t source = 0;
  int64_t tokens = 0;  // at most
};

[[nodiscard]] std::vector<Repeat> repeats(const MixturePlan& plan);

/// Checks a finished plan. Throws std::invalid_argument naming every source that lacks tokens, or
/// the stage that repeats without `allow_repeat`.
void check_caps(const MixturePlan& plan);

}  // namespace phalanx
