#pragma once
// What a run will be computed by, for its log, before the first step: so that nobody wonders why
// bf16 is no faster than fp32 where the processor lacks it, where the memory of a window goes that
// no kernel has, or why fp8 gains nothing. Norms, rotation, SwiGLU and cross-entropy have a kernel
// for all that a run can ask for (parallel/kernels/row_types.h) and are not named. Pure, local.
#include <string>
#include <vector>

#include "trainer/run_config.h"

namespace phalanx {

/// `cpu products: ...` (cpu only), `attention: ...` and `fp8 products: ...` (fp8 only), one line
/// each; another line where a later stage differs. The sizes are those of every part of the tensor
/// axis and of whole micro-batches.
std::vector<std::string> kernel_lines(const RunConfig& config);

}  // namespace phalanx
