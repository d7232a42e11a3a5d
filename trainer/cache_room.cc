#include "trainer/cache_room.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <stdexcept>

#include "data/mixture/bin_loader.h"
#include "data/mixture/prefetcher.h"
#include "data/mixture/read_ahead.h"
#include "data/mixture/source_loader.h"

namespace phalanx {
namespace {

/// Ranks of a host may be so many steps apart: one has read its batches ahead, while another waits
/// for the data of the step at hand, or has not begun to look past the step before.
constexpr int64_t kStepsApart = kBatchesAhead + 1;
/// Descriptors for all but what is held: the pool's, and those of communication and logs.
constexpr int64_t kOtherDescriptors = static_cast<int64_t>(kMaxOpenFiles) + 256;

/// What is held at once.
struct Held {
  int64_t bytes = 0, files = 0;
  Held operator+(const Held& other) const { return {bytes + other.bytes, files + other.files}; }
};

bool has_more_bytes(const Held& a, const Held& b) { return a.bytes > b.bytes; }

/// Of each shard, all that reading its rows opens; the largest first.
std::vector<Held> whole_shards(const DatasetReader& dataset, const std::set<int64_t>& lengths) {
  std::vector<Held> shards;
  for (size_t i = 0; i < dataset.manifest().shards.size(); ++i) {
    Held shard{dataset.bin_file(i).bytes + dataset.idx_file(i).bytes, 2};
    for (const BinsEntry& bins : dataset.manifest().shards[i].bins) {
      if (!lengths.contains(bins.sequence_length)) continue;
      shard.bytes += dataset.bins_file(i, bins).bytes;
      ++shard.files;
    }
    shards.push_back(shard);
  }
  std::sort(shards.begin(), shards.end(), has_more_bytes);
  return shards;
}

/// Of each shard, what is read of it when a window ends there; the largest first.
std::vector<Held> shard_heads(const DatasetReader& dataset) {
  std::vector<Held> heads;
  for (size_t i = 0; i < dataset.manifest().shards.size(); ++i) {
    heads.push_back({dataset.head_file(i).bytes + dataset.idx_file(i).bytes, 2});
  }
  std::sort(heads.begin(), heads.end(), has_more_bytes);
  return heads;
}

/// Of all shards whose beginning is a file of its own in the cache: shorter than the shard.
Held own_heads(const DatasetReader& dataset) {
  Held sum;
  for (size_t i = 0; i < dataset.manifest().shards.size(); ++i) {
    const DatasetFile head = dataset.head_file(i);
    if (head.head_of > 0) sum = sum + Held{head.bytes, 1};
  }
  return sum;
}

Held sum_of_first(const std::vector<Held>& all, int64_t count) {
  Held sum;
  for (size_t i = 0; i < all.size() && static_cast<int64_t>(i) < count; ++i) {
    sum = sum + all[i];
  }
  return sum;
}

/// The largest shards of the source, with the bins of these lengths, and the beginnings of others
/// in which their last windows may end.
Held held_of(const RowSource& source, int64_t num_shards, int64_t num_heads,
             const std::set<int64_t>& lengths) {
  if (const auto* windows = dynamic_cast<const SourceLoader*>(&source)) {
    const std::vector<Held> shards = whole_shards(windows->reader(), {});
    const std::vector<Held> heads = shard_heads(windows->reader());
    const Held some = sum_of_first(shards, num_shards) + sum_of_first(heads, num_heads);
    const Held all = sum_of_first(shards, std::ssize(shards)) + own_heads(windows->reader());
    return {std::min(some.bytes, all.bytes), std::min(some.files, all.files)};
  }
  const auto* bins = dynamic_cast<const BinLoader*>(&source);
  if (bins == nullptr) return {};
  return sum_of_first(whole_shards(*bins->dataset(), lengths), num_shards);
}

/// The most of something that is needed at once, and by which sources: "web (12 shards)".
struct Need {
  int64_t count = 0;
  std::string sources;

  void raise(int64_t other, const std::string& of) {
    if (other > count) *this = {other, of};
  }
};

struct Needs {
  Need bytes;  // of all ranks of a host
  Need files;  // of one rank
};

/// What the ranks of a host hold while one of them is in this stage, of one source after another.
class StageNeed {
 public:
  StageNeed(const RunData& data, const MixturePlan& plan, const ReadAhead& ahead, size_t stage)
      : data_(data), plan_(plan), ahead_(ahead), stage_(stage) {}

  void add(size_t k) {
    std::shared_ptr<const RowSource> source;
    std::set<int64_t> lengths;  // of bins
    for (size_t s = ahead_.first_stage(stage_, kStepsApart); s <= stage_; ++s) {
      if (!ahead_.draws(s, k)) continue;
      source = data_.sources[s][k];
      lengths.insert(plan_.curriculum.stages[s].sequence_length);
    }
    if (!source || !source->wants_to_know()) return;
    const auto all = static_cast<int64_t>(source->shard_rows().size()) - 1;
    const int64_t window = plan_.sources[k].shuffle_window;
    const bool windowed = 0 < window && window < all;
    const auto held = [&](int64_t steps_apart) {
      const int64_t shards = ahead_.max_shards(stage_, k, steps_apart);
      return held_of(*source, shards, windowed ? shards : 0, lengths);
    };
    bytes_ += held(kStepsApart).bytes;
    files_ += held(0).files;
    const int64_t shards = ahead_.max_shards(stage_, k, kStepsApart);
    sources_ += fmt::format("{}{} ({}{} shards)", sources_.empty() ? "" : ", ",
                            plan_.sources[k].name, shards == all ? "all " : "", shards);
  }

  void add_to(Needs& needs) const {
    needs.bytes.raise(bytes_, sources_);
    needs.files.raise(files_, sources_);
  }

 private:
  const RunData& data_;
  const MixturePlan& plan_;
  const ReadAhead& ahead_;
  size_t stage_;
  int64_t bytes_ = 0, files_ = 0;
  std::string sources_;
};

Needs needs_of(const RunData& data, const std::shared_ptr<const MixturePlan>& plan,
               int64_t ranks_on_host) {
  const ReadAhead ahead(plan, data.sources, steps_at_hand(kBatchesAhead));
  Needs needs;
  for (const ValidationSource& source : data.validation) {
    if (!source.rows->wants_to_know()) continue;
    const int64_t shards = std::ssize(source.rows->shard_rows()) - 1;
    const int64_t at_once = std::min(shards, ranks_on_host);
    needs.bytes.raise(held_of(*source.rows, at_once, at_once, {}).bytes,
                      fmt::format("the held-out part of {} ({} shards)", source.name, at_once));
  }
  for (size_t stage = 0; stage < data.sources.size(); ++stage) {
    StageNeed need(data, *plan, ahead, stage);
    for (size_t k = 0; k < plan->num_sources(); ++k) need.add(k);
    need.add_to(needs);
  }
  return needs;
}

}  // namespace

void check_cache_room(const RunConfig& config, const RunData& data,
                      const std::shared_ptr<const MixturePlan>& plan, const HostRoom& host) {
  if (!data.fetches) return;
  const auto [bytes, files] = needs_of(data, plan, host.num_ranks);
  constexpr const char* kAdvice =
      "have fewer shards shuffled together (data.sources.NAME.shuffle_window)";
  if (bytes.count > config.data.store.cache_bytes) {
    throw std::invalid_argument(fmt::format(
        "data.store.cache_bytes: expected at least {}B, which the next steps read at once of "
        "{}, got {}B: allow more, or {}",
        bytes.count, bytes.sources, config.data.store.cache_bytes, kAdvice));
  }
  if (files.count + kOtherDescriptors > host.max_open_files) {
    throw std::invalid_argument(fmt::format(
        "open files: expected a limit (ulimit -Hn) of at least {}, {} of them for what the next "
        "steps read at once of {}, got {}: raise it, or {}",
        files.count + kOtherDescriptors, files.count, files.sources, host.max_open_files, kAdvice));
  }
}

}  // namespace phalanx
