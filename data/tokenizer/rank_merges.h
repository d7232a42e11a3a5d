// The merges of a rank file (*.tiktoken), which names none: two neighbours merge where their bytes
// together are a token, and that token's rank, which is its id, is the merge's. Local; pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/tokenizer/bpe_merger.h"

namespace phalanx {

// Of all ways to cut a token only the one counts in which the ranks below its own leave its bytes:
// no other pair with these bytes is ever side by side. Nothing where some token has no such two
// parts.
std::optional<std::vector<Merge>> rank_merges_that_count(const std::vector<std::string>& tokens);

// Every way to cut a token into two others. Tokens that are empty are none.
std::vector<Merge> all_rank_merges(const std::vector<std::string>& tokens);

}  // namespace phalanx
