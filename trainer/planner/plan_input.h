#pragma once
// What is planned: a model on a mesh, what is kept in which type, what overlaps, and the work.
// Plain values; pure. Units: bytes, tokens (targets), rows.
#include <cstdint>
#include <string>
#include <vector>

#include "model/activation_bytes.h"
#include "trainer/planner/rank_parameters.h"
#include "trainer/run_config.h"

namespace phalanx {

/// Bytes an element of what is kept from step to step.
struct StateBytes {
  int64_t weight = 2;    // the compute type
  int64_t gradient = 4;  // of the buckets and of their reduced shares
  int64_t master = 4;    // 0: the weight is the master
  int64_t moment = 4;    // each of the two
  bool offload = false;  // masters and moments lie in host memory
  int64_t optimizer() const { return master + 2 * moment; }
};

/// Which collectives run behind computation.
struct Overlap {
  bool gradients = true;  // reduce-scatter over dp behind the last backward pass
  bool weights = false;   // all-gather over dp behind the next forward pass
  double tensor = 0;      // part of the layers' collectives over tp behind their products, 0 to 1
};

/// Of a run with parallel.overlap_chunks as given: on cuda the collectives over dp run bucket by
/// bucket behind the passes, and over tp all but one of the pieces behind a product of another
/// (parallel/tp_overlap.h). On a host a rank computes or communicates.
Overlap overlap_of(DeviceKind device, int64_t overlap_chunks);

/// Steps of one kind: a stage, or the part of a stage between two entries of its batch ramp.
struct WorkSpan {
  std::string stage;
  int64_t sequence_length = 4096;
  int64_t rows_per_step = 1;     // over all replicas
  int64_t micro_batch_size = 1;  // rows
  int64_t tokens = 0;            // of the span; 0: not known

  int64_t micro_batch_tokens() const { return micro_batch_size * sequence_length; }
  int64_t tokens_per_step() const { return rows_per_step * sequence_length; }
  bool operator==(const WorkSpan&) const = default;
};

struct PlanInput {
  Phi4Config shape;
  MeshSize mesh;
  bool sequence_parallel = true;
  Recompute recompute = Recompute::kNone;
  Reproducible reproducible = Reproducible::kOff;
  int64_t leaf_group_size = 1;  // micro-batches
  int64_t loss_chunk_tokens = 1024;
  Products products = Products::kCompute;  // of the layers
  StateBytes state;
  Overlap overlap;
  std::vector<WorkSpan> spans;
  double seconds_between_saves = 0;  // 0: not by time
  int64_t tokens_between_saves = 0;  // 0: not by tokens
  int64_t steps_between_saves = 0;   // 0: not by steps
  bool asynchronous_saves = false;   // written from a copy of the state on the host
};

/// Of a run on so many ranks. Throws std::invalid_argument when they do not divide by the
/// tensor-parallel size.
PlanInput plan_input(const RunConfig& config, int64_t num_ranks);

/// How a mode is written in a configuration.
std::string recompute_name(Recompute recompute);

/// Micro-batches of a step for each replica.
int64_t micro_batches_of_replica(const PlanInput& input, const WorkSpan& span);

ActivationOptions activation_options(const PlanInput& input);

}  // namespace phalanx
