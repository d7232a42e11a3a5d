#pragma once
// What a plan knows of the processor a rank runs on and of the links between ranks: plain values
// that configs/ fills from its table (configs/gpus.yaml). Rates are a second, bytes and FLOPs are
// plain numbers. Local, pure.
#include <cstdint>
#include <string>
#include <vector>

#include "parallel/parallel_config.h"

namespace phalanx {

/// Of a product of m x k by k x n, size = cbrt(m n k): the share of the peak it reaches.
struct GemmPoint {
  double size = 0, share = 0;
};

struct Accelerator {
  std::string name;
  DeviceKind device = DeviceKind::kCuda;
  std::string source;                     // where the figures come from
  double bf16_flops = 0, fp32_flops = 0;  // peak
  double fp8_flops = 0;                   // peak; 0: has none
  int64_t memory_bytes = 0;
  int64_t runtime_bytes = 0;    // taken before the first tensor: context, libraries, collectives
  double memory_bandwidth = 0;  // as elementwise kernels reach it
  int64_t ranks_per_node = 1;
  double link_bandwidth = 0;     // of a rank inside a node (NVLink), as collectives reach it
  double network_bandwidth = 0;  // of a rank's network card, as collectives reach it
  double link_latency = 0, network_latency = 0;  // seconds, of a step of a collective
  double network_step_seconds = 0;               // lost a step where replicas meet over the network
  double host_bandwidth = 0;                     // between device and host memory
  double storage_bandwidth = 0;                  // of a node to where checkpoints go
  double attention_share = 0;                    // of the peak, in attention
  std::vector<GemmPoint> gemm;                   // by rising size
};

/// Between two points in proportion to log(size); beyond the last one as there; below the first in
/// proportion to the size.
double gemm_share(const Accelerator& accelerator, double m, double n, double k);

/// Where a collective's bytes go.
struct Link {
  std::string name;      // "link" or "network"
  double bandwidth = 0;  // of a rank
  double latency = 0;
};

/// For groups of `group_size` ranks that lie `stride` apart, in a world of `num_ranks` ranks that
/// fill one node after another. Rings of a group cross from node to node by the cards of all its
/// members on a node, so that a group with more of them there has more bandwidth.
Link link_of_group(const Accelerator& accelerator, int64_t group_size, int64_t stride);

}  // namespace phalanx
