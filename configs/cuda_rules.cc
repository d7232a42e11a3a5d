#include "configs/cuda_rules.h"

#include <fmt/format.h>

#include <string>

namespace phalanx {

void check_cuda(const ResolvedConfig& config, int64_t num_ranks, Problems& problems) {
  const RunConfig& run = config.run;
  const auto fail = [&](const std::string& path, const std::string& message) {
    problems.add(config.nearest_origin(path), path, message);
  };
  const bool on_cuda = run.parallel.device == DeviceKind::kCuda;
  if (run.precision == Precision::kFp8 && !on_cuda) {
    fail("precision", "expected bf16 or fp32 with parallel.device: cpu, got fp8");
  }
  if (run.precision != Precision::kFp8 && run.fp8_scaling != Fp8Scaling::kTensor) {
    fail("fp8_scaling", "expected tensorwise without precision: fp8, got rowwise");
  }
  if (!run.parallel.cuda_graphs) return;
  const std::string path = "parallel.cuda_graphs";
  if (!on_cuda) fail(path, "expected false with parallel.device: cpu, got true");
  if (num_ranks > 1) {
    fail(path, fmt::format("expected false on more than one rank, got true on {}", num_ranks));
  }
  if (run.data.document_mask) {
    fail(path, "expected false with data.document_mask, whose documents differ from row to row");
  }
  if (run.gradients == Precision::kBf16) {
    fail(path, "expected false with gradients: bf16, whose rounding differs from step to step");
  }
}

}  // namespace phalanx
