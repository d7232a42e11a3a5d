#include "data/mixture/plan_maker.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "data/mixture/caps.h"
#include "data/mixture/keyed_permutation.h"
#include "data/mixture/step_grid.h"

namespace phalanx {

PlanMaker::PlanMaker(MixturePlan& plan)
    : plan_(plan),
      num_sources_(plan.num_sources()),
      owed_(num_sources_, 0),
      share_(num_sources_, 0),
      ends_{std::vector<uint64_t>(num_sources_), std::vector<uint64_t>(num_sources_)},
      due_(num_sources_, 0),
      rows_(num_sources_, 0),
      in_use_(num_sources_, true),
      last_mix_(num_sources_, 0) {
  for (const SourceInfo& source : plan.sources) name_hash_.push_back(absorb_text(0, source.name));
}

void PlanMaker::run() {
  std::vector<PlanPhase> all;
  all.swap(plan_.phases);
  reserve_blocks(all);
  plan_.prefix.assign(num_sources_, 0);
  int32_t stage = -1;
  for (PlanPhase phase : all) {
    while (stage < phase.stage) begin_stage(++stage);
    if (phase.end_row > std::max(phase.first_row, plan_.start.row)) {
      phase_index_ = static_cast<int32_t>(plan_.phases.size());
      phase.first_block = static_cast<int64_t>(plan_.blocks.size());
      plan_phase(phase);
      phase.first_row = std::max(phase.first_row, plan_.start.row);
      phase.end_block = static_cast<int64_t>(plan_.blocks.size());
      plan_.phases.push_back(phase);
    }
    last_mix_ = plan_.curriculum.stages[static_cast<size_t>(phase.stage)]
                    .phases[static_cast<size_t>(phase.phase)]
                    .weights;
  }
  plan_.stage_first_block.push_back(static_cast<int64_t>(plan_.blocks.size()));
  plan_.hash = absorb(absorb(absorb(0, 4), kOrderVersion), static_cast<uint64_t>(plan_.start.row));
  for (const PlanPhase& phase : plan_.phases) {
    plan_.hash = absorb(plan_.hash, plan_.block_hash[static_cast<size_t>(phase.end_block - 1)]);
  }
}

// Room for as many blocks as there will be, unless sources run out: a plan is some 15 MB, which is
// not to be moved time and again as it grows. What is not used takes no memory.
void PlanMaker::reserve_blocks(const std::vector<PlanPhase>& phases) {
  size_t blocks = 0;
  for (const PlanPhase& phase : phases) {
    const auto rows = static_cast<double>(phase.end_row - phase.first_row);
    const bool ramp = plan_.curriculum.stages[static_cast<size_t>(phase.stage)]
                          .phases[static_cast<size_t>(phase.phase)]
                          .ramp == Ramp::kLinear;
    blocks += static_cast<size_t>(rows / kMaxBlockRows + (ramp ? std::sqrt(rows) : 0)) + 3;
  }
  plan_.blocks.reserve(blocks);
  plan_.block_hash.reserve(blocks);
  plan_.prefix.reserve((blocks + 1) * num_sources_);
}

// Finds what each source has given so far at this stage's T, and what it still may.
void PlanMaker::begin_stage(int32_t stage) {
  const auto s = static_cast<size_t>(stage);
  const auto& stages = plan_.curriculum.stages;
  plan_.stage_first_block.push_back(static_cast<int64_t>(plan_.blocks.size()));
  plan_.stream_base.emplace_back(num_sources_, 0);
  const bool capped = plan_.curriculum.on_exhausted == OnExhausted::kRenormalize;
  limit_.assign(capped ? num_sources_ : 0, 0);
  for (size_t k = 0; k < num_sources_; ++k) {
    std::map<int64_t, int64_t> drawn;
    const auto taken = plan_.start.taken.find(plan_.sources[k].name);
    if (taken != plan_.start.taken.end()) drawn = taken->second;
    for (size_t i = 0; i < s; ++i) {
      drawn[stages[i].sequence_length] += plan_.prefix_at(plan_.stage_first_block[i + 1])[k] -
                                          plan_.prefix_at(plan_.stage_first_block[i])[k];
    }
    plan_.stream_base[s][k] = drawn[stages[s].sequence_length];
    if (!capped) continue;
    const bool has_cap = plan_.curriculum.sources[k].max_epochs_millionths.has_value();
    limit_[k] = has_cap ? rows_left(plan_, k, s, drawn) : INT64_MAX;
  }
}

void PlanMaker::plan_phase(const PlanPhase& phase) {
  const CurriculumStage& stage = plan_.curriculum.stages[static_cast<size_t>(phase.stage)];
  const CurriculumPhase& config = stage.phases[static_cast<size_t>(phase.phase)];
  const int64_t num_rows = phase.end_row - phase.first_row;
  int64_t ramp_rows = 0;
  if (config.ramp == Ramp::kLinear) {
    ramp_rows = num_rows;
    if (config.ramp_tokens) {
      const int64_t rows = (*config.ramp_tokens - 1) / stage.sequence_length + 1;
      ramp_rows = std::min(num_rows, rows);
    }
  }
  phase_hash_ = absorb(absorb(0, 3), static_cast<uint64_t>(stage.sequence_length));
  phase_hash_ =
      absorb(phase_hash_, static_cast<uint64_t>(std::max(phase.first_row, plan_.start.row)));
  if (ramp_rows > 0) plan_span({phase.first_row, ramp_rows, last_mix_, config.weights});
  if (num_rows > ramp_rows) {
    plan_span({phase.first_row + ramp_rows, num_rows - ramp_rows, config.weights, config.weights});
  }
}

void PlanMaker::plan_span(ScheduleSpan span) {
  if (span.first_row + span.num_rows <= plan_.start.row) return;
  span = rest_of(span, std::max<int64_t>(0, plan_.start.row - span.first_row), in_use_);
  while (span.num_rows > 0) {
    if (drop_exhausted(span, span.first_row)) {
      std::fill(owed_.begin(), owed_.end(), 0);
      span = rest_of(span, 0, in_use_);
    }
    const auto empty = [](const std::vector<int64_t>& mix) {
      return std::all_of(mix.begin(), mix.end(), [](int64_t weight) { return weight == 0; });
    };
    if (empty(span.from) || empty(span.to)) fail_nothing_left(span.first_row);
    const int64_t planned = plan_blocks(span);
    plan_.spans.push_back({span, planned});
    if (planned == span.num_rows) return;
    drop_exhausted(span, span.first_row + planned);
    std::fill(owed_.begin(), owed_.end(), 0);
    span = rest_of(span, planned, in_use_);
  }
}

int64_t PlanMaker::plan_blocks(const ScheduleSpan& span) {
  const int64_t full = block_rows(span);
  for (int64_t row = 0; row < span.num_rows;) {
    int64_t num_rows = std::min(full, span.num_rows - row);
    shares_between(span, row, row + num_rows);
    if (!limit_.empty()) {
      const int64_t until_cap = rows_until_cap(span, row, num_rows);
      if (until_cap < num_rows) shares_between(span, row, row + until_cap);
      num_rows = until_cap;
    }
    for (size_t k = 0; k < num_sources_; ++k) due_[k] = owed_[k] + share_[k];
    if (!divider_.divide(num_rows, share_, limit_, due_, rows_)) {
      fail_nothing_left(span.first_row + row);
    }
    owed_ = due_;
    add_block(span.first_row + row, num_rows);
    row += num_rows;
    if (limit_.empty() || row == span.num_rows) continue;
    for (size_t k = 0; k < num_sources_; ++k) {
      if (in_use_[k] && limit_[k] == 0 && span.from[k] + span.to[k] > 0) return row;
    }
  }
  return span.num_rows;
}

void PlanMaker::shares_between(const ScheduleSpan& span, int64_t from_row, int64_t to_row) {
  if (span.from == span.to) {
    for (size_t k = 0; k < num_sources_; ++k) share_[k] = span.from[k] * (to_row - from_row);
    return;
  }
  span_integral(span, from_row, ends_[0]);
  span_integral(span, to_row, ends_[1]);
  for (size_t k = 0; k < num_sources_; ++k) {
    share_[k] = static_cast<int64_t>(ends_[1][k] - ends_[0][k]);
  }
}

// The integral never falls, so the first row at which some source reaches its cap is found by
// halving.
int64_t PlanMaker::rows_until_cap(const ScheduleSpan& span, int64_t from_row, int64_t num_rows) {
  const auto reaches = [&](int64_t slack) {
    for (size_t k = 0; k < num_sources_; ++k) {
      if (share_[k] == 0 || limit_[k] > 2 * kMaxBlockRows) continue;
      if (owed_[k] + share_[k] >= limit_[k] * kUnit + slack) return true;
    }
    return false;
  };
  if (!reaches(1)) return num_rows;
  int64_t low = 0;  // not reached
  int64_t high = num_rows;
  while (high - low > 1) {
    const int64_t middle = low + (high - low) / 2;
    shares_between(span, from_row, from_row + middle);
    (reaches(0) ? high : low) = middle;
  }
  shares_between(span, from_row, from_row + num_rows);
  return high;
}

void PlanMaker::add_block(int64_t first_row, int64_t num_rows) {
  plan_.blocks.push_back({first_row, static_cast<int32_t>(num_rows), phase_index_});
  const size_t old = plan_.prefix.size() - num_sources_;
  plan_.prefix.resize(plan_.prefix.size() + num_sources_);
  phase_hash_ = absorb(phase_hash_, static_cast<uint64_t>(num_rows));
  for (size_t k = 0; k < num_sources_; ++k) {
    plan_.prefix[old + num_sources_ + k] = plan_.prefix[old + k] + rows_[k];
    if (rows_[k] == 0) continue;
    phase_hash_ = absorb(absorb(phase_hash_, name_hash_[k]), static_cast<uint64_t>(rows_[k]));
    if (!limit_.empty() && limit_[k] != INT64_MAX) limit_[k] -= rows_[k];
  }
  plan_.block_hash.push_back(phase_hash_);
}

bool PlanMaker::drop_exhausted(const ScheduleSpan& span, int64_t row) {
  bool dropped = false;
  for (size_t k = 0; !limit_.empty() && k < num_sources_; ++k) {
    if (!in_use_[k] || limit_[k] > 0 || span.from[k] + span.to[k] == 0) continue;
    in_use_[k] = false;
    plan_.exhausted.push_back({static_cast<int32_t>(k), row});
    dropped = true;
  }
  return dropped;
}

void PlanMaker::fail_nothing_left(int64_t row) const {
  throw std::invalid_argument(
      fmt::format("data.on_exhausted: expected `renormalize` to find a source of the mix with "
                  "epochs left, found "
                  "none at row {} of the run: raise max_epochs, or shorten the run",
                  row));
}

MixturePlan make_plan(const Curriculum& curriculum, std::vector<SourceInfo> sources,
                      PlanStart start) {
  MixturePlan plan;
  plan.curriculum = curriculum;
  std::sort(sources.begin(), sources.end(),
            [](const SourceInfo& a, const SourceInfo& b) { return a.name < b.name; });
  const size_t num_stages = curriculum.stages.size();
  if (sources.size() != curriculum.sources.size()) {
    throw std::invalid_argument(fmt::format("data.sources: expected {} opened sources, found {}",
                                            curriculum.sources.size(), sources.size()));
  }
  for (size_t k = 0; k < sources.size(); ++k) {
    const SourceInfo& source = sources[k];
    if (source.name != curriculum.sources[k].name || source.rows_by_stage.size() != num_stages) {
      throw std::invalid_argument(fmt::format(
          "data.sources.{}: expected rows for {} stages, found {} for {}",
          curriculum.sources[k].name, num_stages, source.rows_by_stage.size(), source.name));
    }
    for (size_t s = 0; s < num_stages; ++s) {
      if (source.rows_by_stage[s] >= 1) continue;
      throw std::invalid_argument(
          fmt::format("data.sources.{}: expected at least one row of {} tokens, found none (fewer "
                      "than 2 tokens)",
                      source.name, curriculum.stages[s].sequence_length));
    }
  }
  plan.sources = std::move(sources);
  plan.start = std::move(start);
  StepGrid grid = make_step_grid(plan.curriculum, plan.start.row, plan.start.step);
  plan.steps = std::move(grid.steps);
  plan.phases = std::move(grid.phases);
  PlanMaker(plan).run();
  check_caps(plan);
  return plan;
}

}  // namespace phalanx
