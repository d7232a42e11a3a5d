#pragma once
// What a scalar of a configuration may be, as JSON Schema (draft-07) text for editors. Local, pure.
// YAML is taken as 1.2 reads it: 3e-4 is a number, `off` a text. A schema accepts all that the
// reader does, and refuses what it can: exact counts and rules across fields are the reader's.
#include <cstdint>
#include <string>
#include <vector>

namespace phalanx {

struct RealRange;

[[nodiscard]] std::string schema_of_text();
[[nodiscard]] std::string schema_of_name(bool dots_allowed);
/// true and false, or one of several words.
[[nodiscard]] std::string schema_of_choice(const std::vector<std::string>& names);
[[nodiscard]] std::string schema_of_integer(int64_t at_least);
/// From 0 to 2^64 - 1.
[[nodiscard]] std::string schema_of_seed();
/// A number or one with a unit: 4M.
[[nodiscard]] std::string schema_of_count(int64_t at_least);
[[nodiscard]] std::string schema_of_bytes();
[[nodiscard]] std::string schema_of_real(const RealRange& range);
[[nodiscard]] std::string schema_of_list(const std::string& item);
/// Tokens or steps.
[[nodiscard]] std::string schema_of_duration();
[[nodiscard]] std::string schema_of_seconds();
/// Exactly this word.
[[nodiscard]] std::string schema_of_word(const std::string& word);
[[nodiscard]] std::string schema_of_any(const std::vector<std::string>& schemas);

}  // namespace phalanx
