#include "data/mixture/read_ahead.h"

#include <algorithm>
#include <numeric>

namespace phalanx {
namespace {

/// Draws of the source's stream before this row, of a cursor.
int64_t draws_taken(const Cursor& cursor, const std::string& source, int64_t length) {
  const auto streams = cursor.taken.find(source);
  if (streams == cursor.taken.end()) return 0;
  const auto stream = streams->second.find(length);
  return stream == streams->second.end() ? 0 : stream->second;
}

}  // namespace

ReadAhead::ReadAhead(std::shared_ptr<const MixturePlan> plan, StageSources sources,
                     int64_t steps_ahead)
    : plan_(std::move(plan)),
      sources_(std::move(sources)),
      steps_ahead_(steps_ahead),
      epochs_(plan_->num_sources()),
      told_(plan_->num_sources()) {}

/// Of any `steps` steps of the stage.
int64_t ReadAhead::max_rows(size_t stage, int64_t steps) const {
  int64_t rows = 0;
  for (const StepSpan& span : plan_->steps) {
    if (span.stage == static_cast<int32_t>(stage)) rows = std::max(rows, span.rows_per_step);
  }
  return rows * steps;
}

const EpochOrder& ReadAhead::order(size_t stage, size_t source, int64_t epoch) {
  std::optional<Epoch>& kept = epochs_[source];
  if (!kept || kept->number != epoch || kept->stage != stage) {
    kept = {stage, epoch, EpochOrder(plan_->curriculum.seed, plan_->sources[source], stage, epoch)};
  }
  return kept->order;
}

std::vector<size_t> ReadAhead::shards(size_t stage, size_t source, int64_t begin, int64_t end) {
  const int64_t size = plan_->sources[source].rows_by_stage[stage];
  const int64_t needed = begin + max_rows(stage, steps_ahead_);
  std::vector<size_t> found;
  int num_groups = 0;
  for (int64_t draw = begin; draw < end && (draw < needed || num_groups < 2); ++num_groups) {
    const ShardGroup group = order(stage, source, draw / size).group_at(draw % size);
    for (const size_t shard : group.shards) {
      if (std::find(found.begin(), found.end(), shard) == found.end()) found.push_back(shard);
    }
    if (group.shards.empty()) break;  // not shuffled in windows: all shards at any time
    draw += group.end - draw % size;
  }
  if (begin < end && found.empty()) {
    found.resize(sources_[stage][source]->shard_rows().size() - 1);
    std::iota(found.begin(), found.end(), size_t{0});
  }
  return found;
}

void ReadAhead::expect(const Cursor& cursor) {
  const auto stage = static_cast<size_t>(plan_->step_rows(cursor.step).stage);
  const int64_t length = plan_->curriculum.stages[stage].sequence_length;
  const int64_t first = plan_->stage_first_block[stage], last = plan_->stage_first_block[stage + 1];
  for (size_t k = 0; k < plan_->num_sources(); ++k) {
    const int64_t end =
        plan_->stream_base[stage][k] + plan_->prefix_at(last)[k] - plan_->prefix_at(first)[k];
    const std::shared_ptr<const RowSource>& source = sources_[stage][k];
    if (source && source->wants_to_know()) {
      tell(k, source, shards(stage, k, draws_taken(cursor, plan_->sources[k].name, length), end));
    } else {
      tell(k, nullptr, {});
    }
  }
}

/// What source `k` was told in a stage before is withdrawn, whether or not this one draws from it:
/// stages share its data set, which what is told anew stands for.
void ReadAhead::tell(size_t k, const std::shared_ptr<const RowSource>& source,
                     std::vector<size_t> shards) {
  Told& told = told_[k];
  if (told.source == source && told.shards == shards) return;
  if (source) source->expect(shards);
  if (told.source && !source) told.source->expect({});
  if (told.source && told.source != source) told.source->close();
  told = {source, std::move(shards)};
}

void ReadAhead::stop_waiting() const {
  for (const auto& stage : sources_) {
    for (const auto& source : stage) {
      if (source) source->stop_waiting();
    }
  }
}

bool ReadAhead::draws(size_t stage, size_t source) const {
  return sources_[stage][source] &&
         plan_->prefix_at(plan_->stage_first_block[stage])[source] <
             plan_->prefix_at(plan_->stage_first_block[stage + 1])[source];
}

size_t ReadAhead::first_stage(size_t stage, int64_t steps_apart) const {
  for (const StepSpan& span : plan_->steps) {
    if (span.stage != static_cast<int32_t>(stage)) continue;
    const int64_t first = std::max(plan_->steps.front().first_step, span.first_step - steps_apart);
    return static_cast<size_t>(plan_->step_rows(first).stage);
  }
  return stage;
}

int64_t ReadAhead::max_shards(size_t stage, size_t source, int64_t steps_apart) const {
  int64_t shards = 0, all = 0;
  for (size_t s = first_stage(stage, steps_apart); s <= stage; ++s) {
    if (!draws(s, source)) continue;
    shards += s == stage ? max_shards_of(s, source, steps_ahead_, steps_apart)
                         : max_shards_of(s, source, 0, steps_apart);
    all = std::ssize(sources_[s][source]->shard_rows()) - 1;
  }
  return std::min(all, shards);
}

/// Of one stage, for readers that look so many steps ahead.
int64_t ReadAhead::max_shards_of(size_t stage, size_t source, int64_t steps_ahead,
                                 int64_t steps_apart) const {
  const std::vector<int64_t> begins = sources_[stage][source]->shard_rows();
  const auto num_shards = static_cast<int64_t>(begins.size()) - 1;
  const int64_t window = plan_->sources[source].shuffle_window;
  if (window == 0 || window >= num_shards) return num_shards;
  std::vector<int64_t> rows(begins.begin() + 1, begins.end());
  for (size_t i = 0; i < rows.size(); ++i) rows[i] -= begins[i];
  std::sort(rows.begin(), rows.end());
  const int64_t fewest =
      std::max<int64_t>(1, std::accumulate(rows.begin(), rows.begin() + window, int64_t{0}));
  // Rows that follow one another begin in a group, fill some, and end in another.
  const auto groups_of = [&](int64_t steps) {
    return steps == 0 ? 1 : 2 + max_rows(stage, steps) / fewest;
  };
  // Each reader is told of the group after the one that it begins in, and where an epoch ends there
  // may be a short one more.
  const int64_t groups = std::max(groups_of(steps_ahead + steps_apart), groups_of(steps_apart) + 1);
  return std::min(num_shards, (groups + (num_shards % window != 0 ? 1 : 0)) * window);
}

}  // namespace phalanx
