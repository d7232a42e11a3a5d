#pragma once
// The order of one epoch of a source: a bijection of its rows, over all of them or, with
// `shuffle_window`, over the rows of a few shards at a time. SEMANTICS.md section 7.
// Local, immutable. Memory: 24 bytes a shard with `shuffle_window`, else none. A row costs two
// searches over the shards at most.
#include <cstdint>
#include <vector>

#include "data/mixture/keyed_permutation.h"

namespace phalanx {

struct SourceInfo;

/// Shards whose rows are shuffled together, in the order of the epoch.
struct ShardGroup {
  std::vector<size_t> shards;
  int64_t end = 0;  // number of the first row that is drawn from the next group
};

class EpochOrder {
 public:
  /// Of the rows that `source` has at the T of `stage`. Throws std::invalid_argument for a source
  /// without rows, or with `shuffle_window` and without the rows of its shards.
  EpochOrder(uint64_t seed, const SourceInfo& source, size_t stage, int64_t epoch);

  /// The row of the source that comes as number `index` of [0, rows).
  int64_t operator()(int64_t index) const;
  /// The group that row number `index` is drawn from; without shards where all rows are shuffled
  /// together.
  ShardGroup group_at(int64_t index) const;

 private:
  void order_shards(uint64_t seed, const SourceInfo& source, size_t stage, int64_t epoch);
  size_t position_of(int64_t index) const;

  uint64_t key_;
  KeyedPermutation all_;
  size_t window_ = 0;                // shards shuffled together; 0: all
  std::vector<size_t> shards_;       // at each place in the epoch: the shard,
  std::vector<int64_t> row_begins_;  // its first row,
  std::vector<int64_t> given_;       // and the rows of the shards before it; one more: all rows
};

}  // namespace phalanx
