#include "configs/rate_rules.h"

#include <string>

#include <fmt/format.h>

#include "configs/units.h"
#include "trainer/lr_schedule.h"

namespace phalanx {
namespace {

class RateChecker {
 public:
  RateChecker(const ResolvedConfig& config, std::size_t index, Problems& problems)
      : config_(config),
        stage_(config.run.stages[index]),
        base_(fmt::format("stages[{}].learning_rate.", index)),
        problems_(problems) {
    for (const PhaseConfig& phase : stage_.phases) stage_tokens_ += phase.tokens;
  }

  void units();
  void lengths();
  void values();

 private:
  void fail(const std::string& field, const std::string& message) {
    problems_.add(config_.nearest_origin(base_ + field), base_ + field, message);
  }
  /// `warmup` or `decay` with the unit in which it is given.
  static std::string field(const std::string& stem, const Duration& duration) {
    return stem + (duration.unit == Duration::Unit::kSteps ? "_steps" : "_tokens");
  }

  const ResolvedConfig& config_;
  const StageConfig& stage_;
  const std::string base_;
  int64_t stage_tokens_ = 0;
  Problems& problems_;
};

void RateChecker::units() {
  for (const std::string stem : {"warmup", "decay"}) {
    if (config_.origins.contains(base_ + stem + "_tokens") &&
        config_.origins.contains(base_ + stem + "_steps")) {
      fail(stem + "_steps", fmt::format("expected either this or {}_tokens, got both", stem));
    }
  }
}

void RateChecker::lengths() {
  const LearningRateConfig& rate = stage_.learning_rate;
  const LrSchedule schedule(rate, steps_of(stage_), stage_.sequence_length);
  const auto tokens = [&](const Duration& duration, int64_t rows) {
    return duration.unit == Duration::Unit::kSteps ? __int128{rows} * stage_.sequence_length
                                                   : __int128{duration.count};
  };
  const __int128 warmup = tokens(rate.warmup, schedule.warmup_rows());
  const __int128 decay = tokens(rate.decay, schedule.decay_rows());
  if (rate.warmup.count > 0 && warmup >= stage_tokens_) {
    fail(field("warmup", rate.warmup),
         fmt::format("expected less than the stage's {} tokens, got {}", stage_tokens_,
                     format_duration(rate.warmup)));
  } else if (rate.decay.count > 0 && warmup + decay > stage_tokens_) {
    fail(field("decay", rate.decay),
         fmt::format("expected warm-up and decay within the stage's {} tokens, got {} and {}",
                     stage_tokens_, format_duration(rate.warmup), format_duration(rate.decay)));
  }
}

void RateChecker::values() {
  const LearningRateConfig& rate = stage_.learning_rate;
  if (rate.decay.count > 0 && rate.schedule != Decay::kConstant) {
    fail(field("decay", rate.decay), "expected only with schedule: constant");
  }
  if (rate.final > rate.peak) {
    fail("final", fmt::format("expected at most the peak {}, got {}", rate.peak, rate.final));
  }
}

}  // namespace

void check_learning_rate(const ResolvedConfig& config, std::size_t index, Problems& problems) {
  RateChecker checker(config, index, problems);
  checker.units();
  if (!config.run.stages[index].phases.empty()) checker.lengths();
  checker.values();
}

}  // namespace phalanx
