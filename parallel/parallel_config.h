#pragma once
// How a run is spread over ranks. Data parallel size = ranks / tensor_parallel_size.
#include <cstdint>
#include <string>

namespace phalanx {

enum class DeviceKind { kCpu, kCuda };

struct ParallelConfig {
  int64_t tensor_parallel_size = 1;
  bool sequence_parallel = true;  // acts when tensor_parallel_size > 1
  DeviceKind device = DeviceKind::kCpu;
  int64_t overlap_chunks = 0;    // of a tensor-parallel product and its collective; 0: by device
  bool cuda_graphs = false;      // capture the pass of a micro-batch
  int64_t threads_per_rank = 0;  // 0: the cores this rank may use, shared with its host's ranks
};

}  // namespace phalanx
