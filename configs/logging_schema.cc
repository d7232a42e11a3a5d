#include "configs/logging_schema.h"

#include "configs/values.h"

namespace phalanx {

void declare_logging(SchemaVisitor& v, LoggingConfig& c) {
  using enum Tag;
  v.section({"logging", "what a run says of itself"}, [&] {
    v.field(
        {"interval", "between lines of progress where there is no terminal; 0: each step", kFree},
        seconds_value(c.interval_seconds));
    v.field({"tensorboard", "event files in the run's folder tensorboard/, besides metrics.jsonl",
             kFree},
            flag_value(c.tensorboard));
    v.field({"peak_tflops",
             "of a rank's processor, against which MFU is measured; 0: as configs/gpus.yaml has "
             "its GPU, on cpu no MFU",
             kFree},
            real_value(c.peak_tflops, kNotNegative));
  });
}

}  // namespace phalanx
