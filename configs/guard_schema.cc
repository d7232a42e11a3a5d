#include "configs/guard_schema.h"

#include "configs/values.h"

namespace phalanx {
namespace {

void declare_watchdog(SchemaVisitor& v, WatchdogConfig& c) {
  using enum Tag;
  v.field({"timeout",
           "longest time of a step without progress; auto: ten times the slowest step so far, at "
           "least 1min; 0: none",
           kFree},
          auto_seconds_value(c.limits.train));
  v.field({"start_timeout",
           "the same from the start to the end of the first step, and while a step waits for data "
           "that are fetched; 0: none",
           kFree},
          seconds_value(c.limits.start));
  v.field({"evaluation_timeout", "the same while held-out rows are measured; 0: none", kFree},
          seconds_value(c.limits.evaluate));
  v.field({"save_timeout", "the same while a checkpoint is saved; 0: none", kFree},
          seconds_value(c.limits.save));
  v.field({"straggler_interval", "time between comparisons of the ranks' own work; 0: none", kFree},
          seconds_value(c.straggler_interval_seconds));
}

void declare_numbers(SchemaVisitor& v, NumbersConfig& c) {
  using enum Tag;
  v.field(
      {"max_skipped_in_a_row",
       "steps skipped for their loss or gradient norm; as many stop the run (exit code 77)", kFree},
      integer_value(c.max_skipped_in_a_row, 1, "steps"));
  v.field(
      {"run_again",
       "a step whose loss or norm is suspicious, before anything has changed, to see whether it "
       "was the machine",
       kFree},
      flag_value(c.run_again));
  v.field({"check_interval",
           "steps between comparisons of hashes of the weights, besides suspicious ones; 0: never",
           kFree},
          integer_value(c.check_interval, 0, "steps"));
  v.section({"spikes", "a loss or gradient norm far above those before it"}, [&] {
    v.field(
        {"policy",
         "skip the step; roll_back to the newest checkpoint and pass over the steps since; stop",
         kResumable},
        enum_value<SpikePolicy>(c.spikes.policy, {{"off", SpikePolicy::kOff},
                                                  {"skip", SpikePolicy::kSkip},
                                                  {"roll_back", SpikePolicy::kRollBack},
                                                  {"stop", SpikePolicy::kStop}}));
    v.field({"z_score", "standard deviations above the mean of the window", kResumable},
            real_value(c.spikes.z_score, kPositive));
    v.field(
        {"window", "steps that are remembered; half of them before the first spike", kResumable},
        integer_value(c.spikes.window, 2, "steps"));
    v.field({"max_roll_backs", "of the whole run; the next spike stops it", kResumable},
            integer_value(c.spikes.max_roll_backs, 0));
  });
}

}  // namespace

void declare_guards(SchemaVisitor& v, RunConfig& c) {
  v.section({"watchdog", "ends ranks that hang (exit code 76), names those that are slow"},
            [&] { declare_watchdog(v, c.watchdog); });
  v.section({"numbers", "what is looked at before it is used"},
            [&] { declare_numbers(v, c.numbers); });
}

}  // namespace phalanx
