#include "trainer/cache_room.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <numeric>
#include <stdexcept>

#include "data/mixture/bin_loader.h"
#include "data/mixture/prefetcher.h"
#include "data/mixture/read_ahead.h"
#include "data/mixture/source_loader.h"

namespace phalanx {
namespace {

/// Of each shard, all that reading its rows opens; the largest first.
std::vector<int64_t> shard_bytes(const DatasetReader& dataset, int64_t bins_length) {
  std::vector<int64_t> bytes;
  for (size_t i = 0; i < dataset.manifest().shards.size(); ++i) {
    bytes.push_back(dataset.bin_file(i).bytes + dataset.idx_file(i).bytes);
    for (const BinsEntry& bins : dataset.manifest().shards[i].bins) {
      if (bins.sequence_length == bins_length) bytes.back() += dataset.bins_file(i, bins).bytes;
    }
  }
  std::sort(bytes.begin(), bytes.end(), std::greater<>());
  return bytes;
}

/// Of each shard, what is read of it when a window ends there; the largest first.
std::vector<int64_t> head_bytes(const DatasetReader& dataset) {
  std::vector<int64_t> bytes;
  for (size_t i = 0; i < dataset.manifest().shards.size(); ++i) {
    bytes.push_back(dataset.head_file(i).bytes + dataset.idx_file(i).bytes);
  }
  std::sort(bytes.begin(), bytes.end(), std::greater<>());
  return bytes;
}

int64_t sum_of_first(const std::vector<int64_t>& bytes, int64_t count) {
  const auto end = bytes.begin() + std::min<int64_t>(std::ssize(bytes), count);
  return std::accumulate(bytes.begin(), end, int64_t{0});
}

/// Bytes of the `num_shards` largest shards of the source, and of the beginnings in which their
/// last windows may end.
int64_t bytes_at_once(const RowSource& source, int64_t num_shards, int64_t length) {
  if (const auto* windows = dynamic_cast<const SourceLoader*>(&source)) {
    const std::vector<int64_t> heads = head_bytes(windows->reader());
    const int64_t others = std::max<int64_t>(0, std::ssize(heads) - num_shards);
    return sum_of_first(shard_bytes(windows->reader(), 0), num_shards) +
           sum_of_first(heads, std::min(num_shards, others));
  }
  const auto* bins = dynamic_cast<const BinLoader*>(&source);
  return bins == nullptr ? 0 : sum_of_first(shard_bytes(*bins->dataset(), length), num_shards);
}

struct Need {
  int64_t bytes = 0;
  std::string sources;  // "web (12 shards), code (all 3 shards)"
};

Need need_of_stage(const RunData& data, const MixturePlan& plan, const ReadAhead& ahead,
                   size_t stage) {
  Need need;
  const auto drawn = [&](size_t k) {
    return plan.prefix_at(plan.stage_first_block[stage + 1])[k] -
           plan.prefix_at(plan.stage_first_block[stage])[k];
  };
  for (size_t k = 0; k < plan.num_sources(); ++k) {
    const auto& source = data.sources[stage][k];
    if (!source || !source->wants_to_know() || drawn(k) == 0) continue;
    const int64_t shards = ahead.max_shards(stage, k);
    need.bytes += bytes_at_once(*source, shards, plan.curriculum.stages[stage].sequence_length);
    const auto all = static_cast<int64_t>(source->shard_rows().size()) - 1;
    need.sources += fmt::format("{}{} ({}{} shards)", need.sources.empty() ? "" : ", ",
                                plan.sources[k].name, shards == all ? "all " : "", shards);
  }
  return need;
}

int64_t largest_held_out_shard(const RunData& data) {
  int64_t largest = 0;
  for (const ValidationSource& source : data.validation) {
    if (source.rows->wants_to_know()) {
      largest = std::max(largest, bytes_at_once(*source.rows, 1, source.length));
    }
  }
  return largest;
}

}  // namespace

void check_cache_room(const RunConfig& config, const RunData& data,
                      const std::shared_ptr<const MixturePlan>& plan) {
  if (!data.fetches) return;
  const ReadAhead ahead(plan, data.sources, kBatchesAhead + 2);
  Need most{largest_held_out_shard(data), "held-out parts"};
  for (size_t stage = 0; stage < data.sources.size(); ++stage) {
    const Need need = need_of_stage(data, *plan, ahead, stage);
    if (need.bytes > most.bytes) most = need;
  }
  if (most.bytes <= config.data.store.cache_bytes) return;
  throw std::invalid_argument(
      fmt::format("data.store.cache_bytes: expected at least {} bytes, which the next steps read "
                  "at once of {}, "
                  "got {}: allow more, or have fewer shards shuffled together (data.sources.NAME."
                  "shuffle_window)",
                  most.bytes, most.sources, config.data.store.cache_bytes));
}

}  // namespace phalanx
