#include "data/mixture/epoch_order.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "data/mixture/mixture_plan.h"

namespace phalanx {

EpochOrder::EpochOrder(uint64_t seed, const SourceInfo& source, size_t stage, int64_t epoch)
    : key_(window_key(seed, source.name, static_cast<uint64_t>(epoch))),
      all_(source.rows_by_stage[stage], key_) {
  if (source.shuffle_window > 0) order_shards(seed, source, stage, epoch);
}

void EpochOrder::order_shards(uint64_t seed, const SourceInfo& source, size_t stage,
                              int64_t epoch) {
  const auto& by_stage = source.shard_rows_by_stage;
  if (stage >= by_stage.size() || by_stage[stage].size() < 2 ||
      by_stage[stage].back() != source.rows_by_stage[stage]) {
    throw std::invalid_argument(
        fmt::format("data.sources.{}.shuffle_window: expected the rows of each shard, found none",
                    source.name));
  }
  const std::vector<int64_t>& shard_rows = by_stage[stage];
  const auto num_shards = static_cast<int64_t>(shard_rows.size()) - 1;
  if (source.shuffle_window >= num_shards) return;
  window_ = static_cast<size_t>(source.shuffle_window);
  const KeyedPermutation order(num_shards,
                               shard_key(seed, source.name, static_cast<uint64_t>(epoch)));
  given_.push_back(0);
  for (int64_t place = 0; place < num_shards; ++place) {
    const auto shard = static_cast<size_t>(order(place));
    shards_.push_back(shard);
    row_begins_.push_back(shard_rows[shard]);
    given_.push_back(given_.back() + shard_rows[shard + 1] - shard_rows[shard]);
  }
}

size_t EpochOrder::position_of(int64_t index) const {
  return static_cast<size_t>(std::upper_bound(given_.begin(), given_.end(), index) -
                             given_.begin()) -
         1;
}

ShardGroup EpochOrder::group_at(int64_t index) const {
  if (window_ == 0) return {};
  const size_t first = position_of(index) / window_ * window_;
  const size_t end = std::min(first + window_, shards_.size());
  return {{shards_.begin() + static_cast<std::ptrdiff_t>(first),
           shards_.begin() + static_cast<std::ptrdiff_t>(end)},
          given_[end]};
}

int64_t EpochOrder::operator()(int64_t index) const {
  if (window_ == 0) return all_(index);
  const size_t group = position_of(index) / window_;
  const int64_t begin = given_[group * window_];
  const int64_t end = given_[std::min((group + 1) * window_, given_.size() - 1)];
  const KeyedPermutation inside(end - begin, absorb(key_, group));
  const int64_t moved = begin + inside(index - begin);
  const size_t place = position_of(moved);
  return row_begins_[place] + moved - given_[place];
}

}  // namespace phalanx
