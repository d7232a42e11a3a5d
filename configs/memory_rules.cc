#include "configs/memory_rules.h"

#include <string>

namespace phalanx {

void check_kept_types(const ResolvedConfig& config, Problems& problems) {
  const RunConfig& run = config.run;
  const auto fail = [&](const std::string& path, const std::string& message) {
    problems.add(config.nearest_origin(path), path, message);
  };
  if (run.optimizer.master == Precision::kBf16 && run.precision == Precision::kFp32) {
    fail("optimizer.master",
         "expected fp32 with precision: fp32, whose weights are no bf16 masters; got bf16");
  }
  if (run.optimizer.offload == Offload::kHost && run.parallel.device != DeviceKind::kCuda) {
    fail("optimizer.offload",
         "expected none with parallel.device: cpu, whose memory is the host's; got host");
  }
}

}  // namespace phalanx
