#pragma once
// Which document goes to which shard: one pass over the entries of all sorted runs, between the two
// halves of packing. Kept as shards.json, so that it is made once and every process cuts alike.
//
// Local. Memory: a buffer for each run, and some bytes a shard. Errors: std::invalid_argument.
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/shards/run_merge.h"

namespace phalanx {

/// Which documents are held out. With documents below the per mille, those; else, unless it is 0,
/// the texts with the smallest content hash.
struct PartRule {
  int64_t per_mille = 0;
  bool any_below = false;
  uint64_t smallest_content = 0;

  bool to_validation(uint64_t content_hash) const;
};

struct PlannedShard {
  bool validation = false;
  int64_t number = 0;  // in its part
  OrderKey first;      // its first document; the shard ends before the first of the part's next one
  int64_t num_documents = 0, num_tokens = 0;

  std::string part() const { return validation ? "validation" : "train"; }
  std::string file() const;  // "shard-00000"
};

struct ShardPlan {
  PartRule rule;
  std::vector<PlannedShard> shards;  // by their first document
  int64_t train_text_bytes = 0, validation_text_bytes = 0;

  /// Holds the shard's documents, and those of the other part that lie between them.
  [[nodiscard]] OrderRange range_of(size_t shard) const;
};

/// A shard is closed before the document that would make it longer than `shard_tokens`. `report`
/// gets the number of documents so far.
[[nodiscard]] ShardPlan make_shard_plan(std::span<const RunFile> runs, const PartRule& rule,
                                        int64_t shard_tokens, int64_t buffer_bytes,
                                        const std::function<void(int64_t)>& report);

[[nodiscard]] std::string shard_plan_json(const ShardPlan& plan);
[[nodiscard]] ShardPlan parse_shard_plan(std::string_view json, const std::string& where);

}  // namespace phalanx
