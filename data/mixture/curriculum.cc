#include "data/mixture/curriculum.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <stdexcept>

#include "data/mixture/apportion.h"

namespace phalanx {
namespace {

constexpr double kTolerance = 1e-6;  // of a sum of weights
constexpr int64_t kWeightOne = int64_t{1} << 40;
constexpr int64_t kMaxRows = int64_t{1} << 40;

template <typename... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
  throw std::invalid_argument(fmt::format(format, std::forward<Args>(args)...));
}

void check_weight(double weight, const std::string& field) {
  if (!(weight >= 0.0) || !(weight <= 1.0 + kTolerance)) {
    fail("{}: expected a weight from 0 to 1, found {}", field, weight);
  }
}

// Scaling by a power of two is exact, so the floor is that of the written number.
int64_t fixed_weight(double weight) {
  return static_cast<int64_t>(std::floor(std::ldexp(weight, 40)));
}

std::vector<CurriculumSource> resolve_sources(const DataConfig& data) {
  std::vector<CurriculumSource> sources;
  for (const SourceConfig& config : data.sources) {
    if (config.name.empty())
      fail("data.sources: expected a name for each source, found an empty one");
    CurriculumSource source{config.name, config.kind, std::nullopt};
    if (config.max_epochs) {
      if (!(*config.max_epochs > 0.0) || !(*config.max_epochs <= 1e6)) {
        fail("data.sources.{}.max_epochs: expected more than 0 and at most 1000000, found {}",
             config.name, *config.max_epochs);
      }
      source.max_epochs_millionths = std::llround(*config.max_epochs * 1e6);
    }
    sources.push_back(source);
  }
  if (sources.empty()) fail("data.sources: expected at least one source, found none");
  if (sources.size() > 65535) {
    fail("data.sources: expected at most 65535 sources, found {}", sources.size());
  }
  std::sort(sources.begin(), sources.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  for (size_t k = 1; k < sources.size(); ++k) {
    if (sources[k].name == sources[k - 1].name) {
      fail("data.sources.{}: expected one source of this name, found two", sources[k].name);
    }
  }
  return sources;
}

using Index = std::map<std::string, size_t>;

void check_groups(const DataConfig& data, const Index& index) {
  for (const auto& [group, members] : data.groups) {
    const std::string field = "data.groups." + group;
    if (index.contains(group))
      fail("{}: expected a name of its own, found that of a source", field);
    double sum = 0.0;
    for (const auto& [name, share] : members) {
      if (!index.contains(name)) {
        fail("{}.{}: expected the name of a source, found an unknown name", field, name);
      }
      check_weight(share, field + "." + name);
      sum += share;
    }
    if (std::abs(sum - 1.0) > kTolerance) {
      fail("{}: expected shares that sum to 1 within {}, found a sum of {}", field, kTolerance,
           sum);
    }
  }
}

// Collects the parts of one mix, in 2^-40, over the sources.
class MixReader {
 public:
  MixReader(const DataConfig& data, const Index& index, std::string field)
      : data_(data),
        index_(index),
        field_(std::move(field)),
        parts_(index.size(), 0),
        used_(index.size(), false) {}

  std::vector<int64_t> read(const std::vector<MixEntry>& mix) {
    if (mix.empty()) fail("{}: expected at least one source, found none", field_);
    const MixEntry* rest = nullptr;
    double sum = 0.0;
    int64_t total = 0;
    for (const MixEntry& entry : mix) {
      if (!entry.weight) {
        if (rest) {
          fail("{}: expected at most one `rest`, found it at {} and {}", field_, rest->name,
               entry.name);
        }
        rest = &entry;
        continue;
      }
      check_weight(*entry.weight, field_ + "." + entry.name);
      sum += *entry.weight;
      total += fixed_weight(*entry.weight);
      add(entry.name, fixed_weight(*entry.weight));
    }
    if (rest ? sum > 1.0 + kTolerance : std::abs(sum - 1.0) > kTolerance) {
      fail("{}: expected weights that sum to {} within {}, found a sum of {:.9g}", field_,
           rest ? "at most 1 beside `rest`" : "1", kTolerance, sum);
    }
    if (rest) add(rest->name, std::max<int64_t>(0, kWeightOne - total));
    return apportion(kUnit, parts_);
  }

 private:
  void add(const std::string& name, int64_t part) {
    if (auto source = index_.find(name); source != index_.end()) {
      add_source(source->second, part, name);
      return;
    }
    auto group = data_.groups.find(name);
    if (group == data_.groups.end()) {
      fail("{}.{}: expected the name of a source or a group, found an unknown name", field_, name);
    }
    std::vector<int64_t> shares;
    for (const auto& [member, share] : group->second) shares.push_back(fixed_weight(share));
    const std::vector<int64_t> parts = apportion(part, shares);
    size_t i = 0;
    for (const auto& member : group->second)
      add_source(index_.at(member.first), parts[i++], member.first);
  }

  void add_source(size_t k, int64_t part, const std::string& name) {
    if (used_[k]) {
      fail("{}: expected each source once, directly or through one group, found {} twice", field_,
           name);
    }
    used_[k] = true;
    parts_[k] = part;
  }

  const DataConfig& data_;
  const Index& index_;
  std::string field_;
  std::vector<int64_t> parts_;
  std::vector<bool> used_;
};

void check_ramp(const PhaseConfig& config, const std::string& path, bool first_of_run) {
  if (config.ramp == Ramp::kLinear && first_of_run) {
    fail(
        "{}.ramp: expected `step` in the first phase of a run (there is no mix to come from), "
        "found `linear`",
        path);
  }
  if (!config.ramp_tokens) return;
  if (config.ramp != Ramp::kLinear) {
    fail("{}.ramp_tokens: expected only with `ramp: linear`, found {} with `step`", path,
         *config.ramp_tokens);
  }
  if (*config.ramp_tokens < 1 || *config.ramp_tokens > config.tokens) {
    fail("{}.ramp_tokens: expected 1 to the phase's {} tokens, found {}", path, config.tokens,
         *config.ramp_tokens);
  }
}

CurriculumPhase resolve_phase(const DataConfig& data, const Index& index, const PhaseConfig& config,
                              const std::string& path, bool first_of_run) {
  if (config.tokens < 1) fail("{}.tokens: expected at least 1, found {}", path, config.tokens);
  check_ramp(config, path, first_of_run);
  std::vector<int64_t> weights = MixReader(data, index, path + ".mix").read(config.mix);
  return {path, config.name, config.tokens, std::move(weights), config.ramp, config.ramp_tokens};
}

void check_stage(const StageRows& stage, const std::string& path) {
  if (stage.sequence_length < 1 || stage.sequence_length > INT32_MAX) {
    fail("{}.sequence_length: expected 1 to {}, found {}", path, INT32_MAX, stage.sequence_length);
  }
  auto check_batch = [&](int64_t rows, const std::string& field) {
    if (rows < 1 || rows > INT32_MAX)
      fail("{}: expected 1 to {}, found {}", field, INT32_MAX, rows);
  };
  check_batch(stage.global_batch_size, path + ".global_batch_size");
  if (stage.phases.empty()) fail("{}.phases: expected at least one phase, found none", path);
  int64_t last = 0;
  for (size_t i = 0; i < stage.batch_ramp.size(); ++i) {
    const std::string field = fmt::format("{}.batch_ramp[{}]", path, i);
    check_batch(stage.batch_ramp[i].global_batch_size, field + ".global_batch_size");
    if (stage.batch_ramp[i].from_tokens <= last) {
      fail("{}.from_tokens: expected more than {}, found {}", field, last,
           stage.batch_ramp[i].from_tokens);
    }
    last = stage.batch_ramp[i].from_tokens;
  }
}

}  // namespace

Curriculum resolve_curriculum(const DataConfig& data, const std::vector<StageRows>& stages) {
  if (data.packing == RowPacking::kBestFit && !data.document_mask) {
    fail("data.packing: expected `document_mask: true` with best_fit, found false");
  }
  Curriculum curriculum{
      data.seed, data.document_mask, data.on_exhausted, resolve_sources(data), {}};
  Index index;
  for (const CurriculumSource& source : curriculum.sources)
    index.emplace(source.name, index.size());
  check_groups(data, index);
  if (stages.empty()) fail("stages: expected at least one stage, found none");
  int64_t rows_left = kMaxRows;
  for (size_t s = 0; s < stages.size(); ++s) {
    const StageRows& config = stages[s];
    const std::string path = fmt::format("stages[{}]", s);
    check_stage(config, path);
    CurriculumStage stage{path,
                          config.name,
                          config.sequence_length,
                          config.global_batch_size,
                          config.batch_ramp,
                          config.allow_repeat,
                          {}};
    for (size_t p = 0; p < config.phases.size(); ++p) {
      stage.phases.push_back(resolve_phase(data, index, config.phases[p],
                                           fmt::format("{}.phases[{}]", path, p), s + p == 0));
      const int64_t rows = stage.phases.back().tokens / stage.sequence_length + 1;
      if (rows > rows_left) {
        fail("{}.tokens: expected a run of at most {} rows, found more", stage.phases.back().path,
             kMaxRows);
      }
      rows_left -= rows;
    }
    curriculum.stages.push_back(std::move(stage));
  }
  return curriculum;
}

}  // namespace phalanx
