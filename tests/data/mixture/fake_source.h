#pragma once
// Made-up curricula and sources for the tests of data/mixture. Local; random choices come from the
// project's own hash, so a seed means the same on every machine.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "data/mixture/batch_loader.h"
#include "data/mixture/curriculum.h"
#include "data/mixture/keyed_permutation.h"

namespace phalanx::testing {

class Dice {
 public:
  explicit Dice(uint64_t seed) : state_(mix_bits(seed)) {}
  int64_t between(int64_t low, int64_t high) {
    state_ = mix_bits(state_);
    return low + static_cast<int64_t>(state_ % static_cast<uint64_t>(high - low + 1));
  }

 private:
  uint64_t state_;
};

/// Token p of window w of a source is a function of (name, w, p): ids tell where they come from.
class FakeSource : public RowSource {
 public:
  FakeSource(int64_t place, int64_t num_rows, int64_t length)
      : place_(place), num_rows_(num_rows), length_(length) {}
  int64_t num_rows() const override { return num_rows_; }
  void read(int64_t window, Row& row) const override {
    if (window == broken_window) throw std::runtime_error("the disk failed");
    row.tokens.resize(static_cast<size_t>(length_ + 1));
    for (int64_t p = 0; p <= length_; ++p) {
      row.tokens[static_cast<size_t>(p)] =
          static_cast<int32_t>(place_ * 100'000'000 + window * length_ + p);
    }
    row.num_valid_targets = window + 1 == num_rows_ ? length_ - 1 : length_;
    row.document_starts = {2};
  }
  int64_t broken_window = -1;

 private:
  int64_t place_;
  int64_t num_rows_;
  int64_t length_;
};

struct TestRun {
  DataConfig data;
  std::vector<StageRows> stages;
  std::vector<SourceInfo> sources;

  Curriculum curriculum() const { return resolve_curriculum(data, stages); }
  StageSources row_sources() const {
    StageSources all;
    for (size_t s = 0; s < stages.size(); ++s) {
      all.emplace_back();
      for (size_t k = 0; k < sources.size(); ++k) {
        all[s].push_back(std::make_shared<FakeSource>(
            static_cast<int64_t>(k), sources[k].rows_by_stage[s], stages[s].sequence_length));
      }
    }
    return all;
  }
};

inline std::vector<MixEntry> random_mix(Dice& dice, int64_t num_sources) {
  std::vector<int64_t> parts;
  int64_t sum = 0;
  for (int64_t k = 0; k < num_sources; ++k) {
    const int64_t kind = dice.between(0, 3);
    parts.push_back(kind == 0 ? 0 : dice.between(1, kind == 1 ? 3 : 1000));
    sum += parts.back();
  }
  if (sum == 0) sum = parts[static_cast<size_t>(dice.between(0, num_sources - 1))] = 1;
  std::vector<MixEntry> mix;
  for (size_t k = 0; k < parts.size(); ++k) {
    mix.push_back(
        {"s" + std::to_string(100 + k), static_cast<double>(parts[k]) / static_cast<double>(sum)});
  }
  return mix;
}

/// Weighs the first sources of `mix` through a group of theirs, or leaves one weight as the rest.
inline void vary_mix(Dice& dice, DataConfig& data, std::vector<MixEntry>& mix) {
  if (mix.size() > 2 && dice.between(0, 2) == 0) {
    const auto members = mix.begin() + dice.between(1, static_cast<int64_t>(mix.size()) - 1);
    const std::string name = "group" + std::to_string(data.groups.size());
    double sum = 0.0;
    for (auto entry = mix.begin(); entry != members; ++entry) {
      data.groups[name][entry->name] = 1.0 / static_cast<double>(members - mix.begin());
      sum += *entry->weight;
    }
    mix.erase(mix.begin(), members);
    mix.push_back({name, sum});
  }
  if (dice.between(0, 2) == 0) mix.back().weight = std::nullopt;
}

/// Cuts the rows of `source` into shards of random sizes, and may shuffle a few of them at a time.
inline void add_shards(Dice& dice, SourceInfo& source) {
  if (dice.between(0, 1) == 0) return;
  const int64_t num_shards = dice.between(2, 12);
  source.shuffle_window = dice.between(1, num_shards);
  std::vector<int64_t> cuts;  // in thousandths
  for (int64_t m = 1; m < num_shards; ++m) cuts.push_back(dice.between(0, 1000));
  std::sort(cuts.begin(), cuts.end());
  for (const int64_t rows : source.rows_by_stage) {
    std::vector<int64_t> begins = {0};
    for (const int64_t cut : cuts) begins.push_back(rows * cut / 1000);
    begins.push_back(rows);
    source.shard_rows_by_stage.push_back(begins);
  }
}

/// A random curriculum of one to three stages with groups, ramps, batch ramps, several lengths and
/// shuffle windows; every source has `max_epochs`, and enough rows for any mix if `plenty`.
/// Batches are multiples of `batch_unit`.
inline TestRun random_setup(uint64_t seed, bool plenty, int64_t batch_unit = 1) {
  Dice dice(seed);
  TestRun setup;
  setup.data.seed = seed;
  setup.data.on_exhausted = plenty ? OnExhausted::kError : OnExhausted::kRenormalize;
  const int64_t num_sources = dice.between(1, 12);
  const int64_t num_stages = dice.between(1, 3);
  int64_t length = 4;
  for (int64_t s = 0; s < num_stages; ++s) {
    StageRows stage;
    stage.name = "stage" + std::to_string(s);
    stage.sequence_length = length;
    stage.global_batch_size = dice.between(1, std::max<int64_t>(2, 40 / batch_unit)) * batch_unit;
    stage.allow_repeat = true;
    if (dice.between(0, 2) == 0) {
      const int64_t rows = dice.between(1, std::max<int64_t>(2, 40 / batch_unit)) * batch_unit;
      stage.batch_ramp.push_back({dice.between(1, 800), rows});
    }
    const int64_t num_phases = dice.between(1, 4);
    for (int64_t p = 0; p < num_phases; ++p) {
      PhaseConfig phase;
      phase.tokens = dice.between(1, 600) * length + dice.between(0, 3);
      phase.mix = random_mix(dice, num_sources);
      vary_mix(dice, setup.data, phase.mix);
      if (s + p > 0 && dice.between(0, 1) == 0) {
        phase.ramp = Ramp::kLinear;
        if (dice.between(0, 1) == 0) phase.ramp_tokens = dice.between(1, phase.tokens);
      }
      stage.phases.push_back(phase);
    }
    setup.stages.push_back(stage);
    if (dice.between(0, 1) == 0) length *= 2;
  }
  for (int64_t k = 0; k < num_sources; ++k) {
    SourceConfig source;
    source.name = "s" + std::to_string(100 + k);
    source.max_epochs = plenty ? 1e6 : static_cast<double>(dice.between(5, 60)) / 10.0;
    setup.data.sources.push_back(source);
    SourceInfo info{source.name, "data of " + source.name, {}};
    const int64_t tokens = dice.between(1, plenty ? 1500 : 6000);
    for (const StageRows& stage : setup.stages) {
      info.rows_by_stage.push_back((tokens + stage.sequence_length - 1) / stage.sequence_length);
    }
    add_shards(dice, info);
    setup.sources.push_back(info);
  }
  return setup;
}

inline std::shared_ptr<const MixturePlan> plan_of(const TestRun& setup) {
  return std::make_shared<const MixturePlan>(make_plan(setup.curriculum(), setup.sources));
}

/// Three sources, two phases with a ramp between, one stage.
inline TestRun small_setup() {
  TestRun setup;
  setup.data.seed = 77;
  for (auto [name, rows] :
       {std::pair<const char*, int64_t>{"books", 40}, {"code", 90}, {"web", 300}}) {
    setup.data.sources.push_back({name, "", SourceKind::kOrganic, 20.0});
    setup.sources.push_back({name, std::string("data of ") + name, {rows}});
  }
  setup.stages.resize(1);
  setup.stages[0].sequence_length = 6;
  setup.stages[0].global_batch_size = 64;
  PhaseConfig foundation;
  foundation.name = "foundation";
  foundation.tokens = 640 * 6;
  foundation.mix = {{"web", 0.7}, {"code", 0.2}, {"books", std::nullopt}};
  PhaseConfig reasoning = foundation;
  reasoning.name = "reasoning";
  reasoning.mix = {{"web", 0.2}, {"code", 0.5}, {"books", 0.3}};
  reasoning.ramp = Ramp::kLinear;
  reasoning.ramp_tokens = 200 * 6;
  setup.stages[0].phases = {foundation, reasoning};
  return setup;
}

}  // namespace phalanx::testing
