#include "configs/watchdog_schema.h"

#include "configs/values.h"

namespace phalanx {

void declare_watchdog(SchemaVisitor& v, WatchdogConfig& c) {
  using enum Tag;
  v.field({"timeout",
           "longest time of a step without progress; auto: ten times the slowest step so far, at "
           "least 1min; 0: none",
           kFree},
          auto_seconds_value(c.limits.train));
  v.field({"start_timeout", "the same from the start to the end of the first step; 0: none", kFree},
          seconds_value(c.limits.start));
  v.field({"evaluation_timeout", "the same while held-out rows are measured; 0: none", kFree},
          seconds_value(c.limits.evaluate));
  v.field({"save_timeout", "the same while a checkpoint is saved; 0: none", kFree},
          seconds_value(c.limits.save));
  v.field({"straggler_interval", "time between comparisons of the ranks' own work; 0: none", kFree},
          seconds_value(c.straggler_interval_seconds));
}

}  // namespace phalanx
