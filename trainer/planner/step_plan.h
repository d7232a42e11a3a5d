#pragma once
// Time of one training step by a roofline of its parts, by counting: which products, passes over
// memory and collectives a rank runs, each at the rate that the accelerator's table gives. Pure
// arithmetic, local; seconds, bytes, multiply-adds counted as 2.
//
// Assumptions:
// - A product of m x k by k x n runs at gemm_share(m, n, k) of the peak; forward, gradient of the
//   input and gradient of the weight are one product each. Full recomputation repeats the forward
//   ones. Those that fp8 takes (parallel/fp8.h) run at the same share of its peak; before each both
//   factors are read twice and written once in a byte a value.
// - Causal attention computes half of the scores; its backward pass costs 2.5 of the forward one
//   (FlashAttention-2, arXiv 2307.08691). It runs at attention_share of the peak.
// - Norms, rotation, SwiGLU, residual sums and the loss move their operands once through memory.
// - Every rank works as long as the fullest one; ranks fill node after node, tensor axis innermost.
// - A collective takes bytes / bandwidth + latency * log2(group) a call. Those over tp are exposed
//   but for Overlap::tensor of the layers', at most what the products take; the gradients'
//   reduce-scatter runs behind the last micro-batch's backward pass except its last bucket; the
//   weights' all-gather as Overlap says.
// - Sums in an order of their own (reproducible) on a GPU pass twice more over the gradients;
// leaves
//   of a tree pass six times over them a micro-batch.
// - Reading data, validation and restarts cost nothing.
#include <string>
#include <vector>

#include "trainer/planner/accelerator.h"
#include "trainer/planner/plan_input.h"

namespace phalanx {

struct Collective {
  std::string name;
  std::string axis;  // tp or dp
  Link link;
  double calls = 0;  // a step
  double bytes = 0;  // that a rank sends a step
  double seconds = 0;
  double exposed_seconds = 0;
};

struct StepPlan {
  double num_micro_batches = 0;  // of a replica
  double tokens = 0;             // of all replicas
  double flops = 0;              // of all ranks, as MFU counts them: nothing computed twice
  // Of a step, on the fullest rank.
  double gemm_seconds = 0, attention_seconds = 0, elementwise_seconds = 0, loss_seconds = 0;
  double optimizer_seconds = 0;  // with gradients' norm and zeroing, and transfers of an offload
  double waiting_seconds = 0;    // Accelerator::network_step_seconds
  std::vector<Collective> collectives;
  double seconds = 0;
  double tokens_per_second = 0;  // of all ranks
  double mfu = 0;

  double exposed_seconds() const;
};

StepPlan plan_step(const PlanInput& input, const WorkSpan& span, const Accelerator& accelerator);

/// Of one product of m x k by k x n.
double gemm_seconds(const Accelerator& accelerator, double m, double n, double k,
                    int64_t bytes_per_value);
/// Of one in fp8, with the casts of its factors from two bytes a value.
double fp8_gemm_seconds(const Accelerator& accelerator, double m, double n, double k);

/// Peak for products of this type.
double peak_flops(const Accelerator& accelerator, int64_t bytes_per_value);

}  // namespace phalanx
