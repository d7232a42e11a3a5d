#pragma once
// The cursor of a run's data: where it is, what each stream has given, and under which schedules.
// Local, plain values; it rides in each batch and lies in each checkpoint. SEMANTICS.md section 9.
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

#include "data/mixture/mixture_plan.h"

namespace phalanx {

struct PhaseMark {
  std::string name;   // `stages[0].phases[1]`
  uint64_t hash = 0;  // of its blocks up to the one that holds the last row taken
  bool operator==(const PhaseMark&) const = default;
};

struct LedgerSegment {
  int64_t first_row = 0;
  int64_t first_step = 0;
  uint64_t plan_hash = 0;
  StreamCounts taken;  // before first_row
  std::vector<PhaseMark> phases;
  std::vector<std::pair<int64_t, int64_t>> skipped;  // [first row, end row)
  bool operator==(const LedgerSegment&) const = default;
};

struct LedgerSource {
  std::string name;
  std::string fingerprint;
  bool operator==(const LedgerSource&) const = default;
};

struct Cursor {
  uint64_t order_version = 0;
  uint64_t seed = 0;
  int64_t row = 0;   // next row
  int64_t step = 0;  // next step
  std::vector<LedgerSegment> segments;
  StreamCounts taken;                 // before `row`
  std::vector<LedgerSource> sources;  // in name order, removed ones too
  bool operator==(const Cursor&) const = default;
};

[[nodiscard]] nlohmann::json cursor_to_json(const Cursor& cursor);

/// Strict: an unknown, missing or ill-typed key, or counts that cannot be, throw
/// std::invalid_argument naming the key under `where` (a file's path).
[[nodiscard]] Cursor cursor_from_json(const nlohmann::json& json, const std::string& where);

/// The marks of the phases that `plan` has begun before `row`.
[[nodiscard]] std::vector<PhaseMark> phase_marks(const MixturePlan& plan, int64_t row);

}  // namespace phalanx
