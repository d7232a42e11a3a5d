#include "configs/rules.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "configs/cuda_rules.h"
#include "configs/memory_rules.h"
#include "configs/rate_rules.h"
#include "configs/reproducible_rules.h"
#include "configs/store_rules.h"
#include "configs/suggest.h"
#include "configs/units.h"

namespace phalanx {
namespace {

constexpr double kSumTolerance = 1e-6;
/// Half of 2^63, so that rounding phases up to rows and stages to steps cannot overflow.
constexpr __int128 kMaxRunTokens = __int128{1} << 62;

class RuleChecker {
 public:
  RuleChecker(const ResolvedConfig& config, Problems& problems)
      : config_(config), run_(config.run), problems_(problems) {}

  void model();
  void mesh(int64_t num_ranks);
  void fork();
  void data();
  void stages(int64_t num_ranks);

 private:
  void fail(const std::string& path, const std::string& message) {
    problems_.add(config_.nearest_origin(path), path, message);
  }
  bool is_source(const std::string& name) const;
  std::vector<std::string> mix_names() const;

  void unique_names(std::set<std::string>& seen, const std::string& name, const std::string& path);
  void batch(const StageConfig& stage, const std::string& path, int64_t num_ranks);
  void batch_size(int64_t rows, int64_t micro, const std::string& field, int64_t num_ranks);
  void batch_ramp(const StageConfig& stage, const std::string& path);
  void phases(const StageConfig& stage, const std::string& path, bool first_stage);
  void mix(const PhaseConfig& phase, const std::string& path);
  void ramp(const PhaseConfig& phase, const std::string& path, bool first_phase);

  const ResolvedConfig& config_;
  const RunConfig& run_;
  Problems& problems_;
};

void RuleChecker::model() {
  try {
    check(run_.model.shape);
  } catch (const std::invalid_argument& error) {
    // Each line is "model.<field>: <message>".
    const std::string text = error.what();
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t end = std::min(text.find('\n', begin), text.size());
      const std::string line = text.substr(begin, end - begin);
      const std::size_t colon = std::min(line.find(": "), line.size() - 2);
      fail(line.substr(0, colon), line.substr(colon + 2));
      begin = end + 1;
    }
  }
}

void RuleChecker::mesh(int64_t num_ranks) {
  const std::string path = "parallel.tensor_parallel_size";
  const int64_t size = run_.parallel.tensor_parallel_size;
  const int64_t heads = run_.model.shape.num_attention_heads;
  if (heads % size != 0) {
    fail(path, fmt::format("expected a divisor of the {} attention heads, got {}", heads, size));
  }
  if (num_ranks > 0 && num_ranks % size != 0) {
    fail(path, fmt::format("expected a divisor of the {} ranks, got {}", num_ranks, size));
  }
}

void RuleChecker::fork() {
  const ForkConfig& fork = run_.fork;
  if (fork.from.empty()) {
    for (const auto& [field, value] : {std::pair{"fork.weights", fork.weights},
                                       {"fork.optimizer", fork.optimizer},
                                       {"fork.ledger", fork.ledger}}) {
      if (!value) fail(field, "expected false only with fork.from");
    }
    return;
  }
  if (!fork.weights && fork.optimizer) {
    fail("fork.optimizer", "expected false without fork.weights, whose moments they are, got true");
  }
  if (!fork.weights && !fork.ledger) {
    fail("fork.from", "expected a fork that takes along weights or ledger, got neither");
  }
  if (fork.weights && !run_.model.init_from.empty()) {
    fail("model.init_from",
         "expected none beside the weights of fork.from, got " + run_.model.init_from);
  }
}

bool RuleChecker::is_source(const std::string& name) const {
  for (const SourceConfig& source : run_.data.sources) {
    if (source.name == name) return true;
  }
  return false;
}

std::vector<std::string> RuleChecker::mix_names() const {
  std::vector<std::string> names;
  for (const SourceConfig& source : run_.data.sources) names.push_back(source.name);
  for (const auto& group : run_.data.groups) names.push_back(group.first);
  return names;
}

void RuleChecker::data() {
  if (run_.data.packing == RowPacking::kBestFit && !run_.data.document_mask) {
    fail("data.packing", "expected document_mask: true with best_fit, got false");
  }
  std::vector<std::string> sources;
  for (const SourceConfig& source : run_.data.sources) {
    sources.push_back(source.name);
    if (run_.data.packing == RowPacking::kBestFit && source.validation_last_tokens > 0) {
      fail(fmt::format("data.sources.{}.validation.last_tokens", source.name),
           fmt::format("expected 0 with packing: best_fit, whose rows hold all documents, got {}",
                       source.validation_last_tokens));
    }
  }
  for (const auto& [group, members] : run_.data.groups) {
    const std::string path = "data.groups." + group;
    if (is_source(group)) fail(path, "expected a name that no source has");
    double sum = 0;
    for (const auto& [member, share] : members) {
      sum += share;
      if (is_source(member)) continue;
      const auto near = nearest(member, sources);
      fail(path + "." + member,
           near ? fmt::format("no source of this name; did you mean '{}'?", *near)
                : std::string("no source of this name"));
    }
    if (!(std::abs(sum - 1) <= kSumTolerance)) {
      fail(path, fmt::format("expected shares that sum to 1, got {}", sum));
    }
  }
}

void RuleChecker::unique_names(std::set<std::string>& seen, const std::string& name,
                               const std::string& path) {
  if (!seen.insert(name).second) {
    fail(path + ".name", fmt::format("expected a name of its own, got '{}' again", name));
  }
}

void RuleChecker::stages(int64_t num_ranks) {
  std::set<std::string> names;
  __int128 run_tokens = 0;
  for (std::size_t i = 0; i < run_.stages.size(); ++i) {
    const StageConfig& stage = run_.stages[i];
    const std::string path = fmt::format("stages[{}]", i);
    unique_names(names, stage.name, path);
    batch(stage, path, num_ranks);
    phases(stage, path, i == 0);
    __int128 stage_tokens = 0;
    for (const PhaseConfig& phase : stage.phases) stage_tokens += phase.tokens;
    // A stage that is too long is said of the run.
    if (stage_tokens <= kMaxRunTokens) check_learning_rate(config_, i, problems_);
    run_tokens += stage_tokens;
  }
  if (run_tokens > kMaxRunTokens) {
    fail("stages", "expected phases whose tokens sum to at most 2^62");
  }
}

void RuleChecker::batch(const StageConfig& stage, const std::string& path, int64_t num_ranks) {
  if (stage.sequence_length > (int64_t{1} << 24)) {
    fail(path + ".sequence_length",
         fmt::format("expected at most 16777216, got {}", stage.sequence_length));
  }
  const int64_t micro = stage.micro_batch_size;
  batch_size(stage.global_batch_size, micro, path + ".global_batch_size", num_ranks);
  for (std::size_t i = 0; i < stage.batch_ramp.size(); ++i) {
    batch_size(stage.batch_ramp[i].global_batch_size, micro,
               fmt::format("{}.batch_ramp[{}].global_batch_size", path, i), num_ranks);
  }
  batch_ramp(stage, path);
}

void RuleChecker::batch_size(int64_t rows, int64_t micro, const std::string& field,
                             int64_t num_ranks) {
  if (rows > (int64_t{1} << 24)) {
    fail(field, fmt::format("expected at most 16777216 rows, got {}", rows));
    return;
  }
  const int64_t tensor = run_.parallel.tensor_parallel_size;
  const bool mesh_known = num_ranks > 0 && num_ranks % tensor == 0;
  if (rows % micro != 0 || micro > rows) {
    fail(field, fmt::format("expected a multiple of micro_batch_size {}, got {}", micro, rows));
  } else if (mesh_known && (rows / micro) % (num_ranks / tensor) != 0) {
    const int64_t replicas = num_ranks / tensor;
    fail(field, fmt::format("expected a multiple of micro_batch_size {} x {} data-parallel "
                            "replicas = {}, got {}",
                            micro, replicas, micro * replicas, rows));
  }
}

void RuleChecker::batch_ramp(const StageConfig& stage, const std::string& path) {
  __int128 stage_tokens = 0;
  for (const PhaseConfig& phase : stage.phases) stage_tokens += phase.tokens;
  int64_t last = 0;
  for (std::size_t i = 0; i < stage.batch_ramp.size(); ++i) {
    const int64_t from = stage.batch_ramp[i].from_tokens;
    const std::string field = fmt::format("{}.batch_ramp[{}].from_tokens", path, i);
    if (i > 0 && from <= last) {
      fail(field, fmt::format("expected more than the {} of the entry before, got {}", last, from));
    } else if (from >= stage_tokens) {
      fail(field, fmt::format("expected less than the stage's {} tokens, got {}",
                              static_cast<int64_t>(stage_tokens), from));
    }
    last = from;
  }
}

void RuleChecker::phases(const StageConfig& stage, const std::string& path, bool first_stage) {
  std::set<std::string> names;
  for (std::size_t i = 0; i < stage.phases.size(); ++i) {
    const std::string phase_path = fmt::format("{}.phases[{}]", path, i);
    unique_names(names, stage.phases[i].name, phase_path);
    mix(stage.phases[i], phase_path + ".mix");
    ramp(stage.phases[i], phase_path, first_stage && i == 0);
  }
}

void RuleChecker::mix(const PhaseConfig& phase, const std::string& path) {
  const std::vector<std::string> known = mix_names();
  double sum = 0;
  int num_rests = 0;
  for (const MixEntry& entry : phase.mix) {
    if (std::find(known.begin(), known.end(), entry.name) == known.end()) {
      const auto near = nearest(entry.name, known);
      fail(path + "." + entry.name,
           near
               ? fmt::format("no source or group of this name; did you mean '{}'?", *near)
               : fmt::format("no source or group of this name; known: {}", fmt::join(known, ", ")));
    }
    if (entry.weight) sum += *entry.weight;
    if (!entry.weight && ++num_rests == 2) {
      fail(path + "." + entry.name, "expected at most one 'rest' in a mix");
    }
  }
  const bool too_much = sum > 1 + kSumTolerance;
  if (num_rests > 0 && too_much) {
    fail(path, fmt::format("expected weights that leave a rest of 1, got a sum of {}", sum));
  } else if (num_rests == 0 && !(std::abs(sum - 1) <= kSumTolerance)) {
    fail(path, fmt::format("expected weights that sum to 1 (one may be 'rest'), got {}", sum));
  }
}

void RuleChecker::ramp(const PhaseConfig& phase, const std::string& path, bool first_phase) {
  if (phase.ramp == Ramp::kLinear && first_phase) {
    fail(path + ".ramp",
         "expected step in the first phase, which has no mix before it, got linear");
  }
  if (!phase.ramp_tokens) return;
  if (phase.ramp != Ramp::kLinear) {
    fail(path + ".ramp_tokens", "expected only with ramp: linear");
  } else if (*phase.ramp_tokens > phase.tokens) {
    fail(path + ".ramp_tokens", fmt::format("expected at most the phase's {} tokens, got {}",
                                            phase.tokens, *phase.ramp_tokens));
  }
}

}  // namespace

void check_rules(const ResolvedConfig& config, int64_t num_ranks, Problems& problems) {
  RuleChecker checker(config, problems);
  checker.model();
  checker.mesh(num_ranks);
  checker.fork();
  checker.data();
  checker.stages(num_ranks);
  check_cuda(config, num_ranks, problems);
  check_kept_types(config, problems);
  check_places(config, problems);
  check_reproducible(config, num_ranks, problems);
}

}  // namespace phalanx
