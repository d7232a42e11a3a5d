#pragma once
// Helps to say of many ranks what they have in common and who differs. Pure, local.
#include <functional>
#include <string>
#include <vector>

#include "launch/doctor/rank_facts.h"

namespace phalanx {

using FactText = std::function<std::string(const RankFacts&)>;

/// "Open MPI v4.1.4", or where ranks differ "A on ranks 0-3 (node1), B on ranks 4-7 (node2)".
std::string values_text(const std::vector<RankFacts>& ranks, const FactText& value);
bool all_alike(const std::vector<RankFacts>& ranks, const FactText& value);

/// What ranks complain of, "A on ranks 0-3 (node1)", empty values left out; empty: of nothing.
std::string complaints_text(const std::vector<RankFacts>& ranks, const FactText& complaint);

/// "ranks 2-3 (node2)", of those that `applies` to; empty: of none.
std::string who(const std::vector<RankFacts>& ranks,
                const std::function<bool(const RankFacts&)>& applies);

}  // namespace phalanx
