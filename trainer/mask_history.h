#pragma once
// Which lists of masked documents were in force at which steps. A resume may change them, and they
// are in no fingerprint; so the state of the run says it. Local, plain values.
// Errors: std::invalid_argument naming the field.
#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace phalanx {

struct MaskList {
  std::string file;  // as configured
  std::string hash;  // hash_of() its documents
  bool operator==(const MaskList&) const = default;
};
using MaskLists = std::map<std::string, MaskList>;  // by source, of those that have one

/// From `first_step` (from 0) on, up to the next entry.
struct MaskEntry {
  int64_t first_step = 0;
  MaskLists lists;
  bool operator==(const MaskEntry&) const = default;
};
using MaskHistory = std::vector<MaskEntry>;  // rising; empty: not recorded

/// With `lists` in force from `step` on, if they were not already.
[[nodiscard]] MaskHistory with_lists(MaskHistory history, int64_t step, const MaskLists& lists);

/// The entry that holds `step`; null if none was recorded.
[[nodiscard]] const MaskEntry* find_entry(const MaskHistory& history, int64_t step);

[[nodiscard]] nlohmann::json to_json(const MaskHistory& history);
[[nodiscard]] MaskHistory mask_history_from_json(const nlohmann::json& json,
                                                 const std::string& where);

}  // namespace phalanx
