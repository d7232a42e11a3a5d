#pragma once
// Memory of the fullest rank while a step runs, by category, by counting what the code holds.
// Pure arithmetic, local; bytes. Only what grows with model, batch or mesh is counted, and what the
// runtime takes (Accelerator::runtime_bytes); data read ahead, tables of angles and partial sums of
// norms are left out (well under 1 %).
//
//   weights        compute type, all buckets with their padding
//   gradients      the buckets (GradBuckets); with bf16 ones also the fp32 rows of a product; with
//                  reproducible: dp_invariant the sums that wait in a tree (LeafSums)
//   optimizer      this replica's share of masters and moments (ZeRO-1), or, where they lie on the
//                  host, the pieces of them that pass through the device (StateStream)
//   saving         with checkpoint.asynchronous the copy of that share which is being written; a
//                  GPU's lies on the host
//   activations    what the blocks keep (model/activation_bytes.h), the last block's output and its
//                  norm; under full recomputation also one layer as none holds it
//   communication  reduced shares of the gradients (dp > 1) and, where a GPU sums in an order of
//                  its own (reproducible), the pieces of the largest bucket
//   logits         at the loss: logits of a chunk, which become their gradient, and the gradient of
//                  the normed stream
//   workspace      at a layer's backward pass: gradients of its inner values, its inputs
//                  computed again; of a product on a host its bf16 result in fp32 (as with logits);
//                  the factors of a product in fp8
//
// Logits and workspace are not there at the same time: the total counts the larger one.
#include <cstdint>
#include <string>
#include <vector>

#include "trainer/planner/accelerator.h"
#include "trainer/planner/plan_input.h"

namespace phalanx {

struct MemoryCategory {
  std::string name;
  int64_t bytes = 0;
};

struct MemoryPlan {
  int64_t weights = 0, gradients = 0, optimizer = 0, saving = 0;
  int64_t activations = 0, communication = 0, logits = 0, workspace = 0;
  int64_t runtime = 0;
  int64_t host = 0;  // of a rank on a GPU: offloaded state, copy to be saved; not part of total()

  /// Without the runtime: what tensors hold.
  int64_t tensors() const;
  int64_t total() const { return tensors() + runtime; }
  /// All but the host's, in the order of the table above.
  std::vector<MemoryCategory> categories() const;
};

/// Of the steps of one span.
MemoryPlan plan_memory(const PlanInput& input, const WorkSpan& span,
                       const Accelerator& accelerator);

/// Of the span that needs most.
MemoryPlan plan_memory(const PlanInput& input, const Accelerator& accelerator);

}  // namespace phalanx
