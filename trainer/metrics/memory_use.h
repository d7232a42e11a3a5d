#pragma once
// What this process has held so far, for metrics.jsonl. Local; any thread.
#include <c10/core/Device.h>

#include <cstdint>

namespace phalanx {

/// The most bytes at one time: resident in this process (CPU), or of tensors on the device (GPU).
[[nodiscard]] int64_t peak_memory_bytes(const c10::Device& device);

}  // namespace phalanx
