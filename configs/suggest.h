#pragma once
// "did you mean": what a person who wrote an unknown key most likely wanted. Local, pure.
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace phalanx {

/// Insertions, deletions, substitutions and swaps of neighbours, each 1 (optimal string alignment,
/// the restricted Damerau-Levenshtein distance).
std::size_t edit_distance(std::string_view a, std::string_view b);

/// The candidate nearest to `word`, the first of equals; none further than a third of its length.
std::optional<std::string> nearest(std::string_view word,
                                   const std::vector<std::string>& candidates);

/// A whole hint for names that other frameworks use or that phalanx leaves out on purpose:
/// `lr` -> "did you mean 'learning_rate.peak'?".
std::optional<std::string> hint_for_foreign_name(std::string_view word);

}  // namespace phalanx
