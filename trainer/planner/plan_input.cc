#include "trainer/planner/plan_input.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "parallel/tp_overlap.h"

namespace phalanx {
namespace {

int64_t tokens_of(const StageConfig& stage) {
  int64_t tokens = 0;
  for (const PhaseConfig& phase : stage.phases) tokens += phase.tokens;
  return tokens;
}

/// One span, and one more for each entry of the ramp.
void add_spans(const StageConfig& stage, std::vector<WorkSpan>& spans) {
  int64_t begin = 0, rows = stage.global_batch_size;
  const int64_t end = tokens_of(stage);
  const auto add = [&](int64_t until) {
    spans.push_back(
        {stage.name, stage.sequence_length, rows, stage.micro_batch_size, until - begin});
    begin = until;
  };
  for (const BatchRampEntry& entry : stage.batch_ramp) {
    add(std::min(entry.from_tokens, end));
    rows = entry.global_batch_size;
  }
  add(end);
}

int64_t bytes_of(Precision precision) { return precision == Precision::kFp32 ? 4 : 2; }

/// A bf16 master is the weight itself where weights are bf16.
StateBytes state_bytes(const RunConfig& config) {
  StateBytes state;
  state.weight = bytes_of(config.precision);
  state.gradient = bytes_of(config.gradients);
  state.master = bytes_of(config.optimizer.master);
  if (config.optimizer.master == Precision::kBf16 && state.weight == 2) state.master = 0;
  state.moment = bytes_of(config.optimizer.state);
  state.offload = config.optimizer.offload == Offload::kHost;
  return state;
}

}  // namespace

Overlap overlap_of(DeviceKind device, int64_t overlap_chunks) {
  const bool cuda = device == DeviceKind::kCuda;
  const double chunks = double(num_overlap_chunks(overlap_chunks, cuda));
  return {cuda, cuda, cuda ? (chunks - 1) / chunks : 0};
}

PlanInput plan_input(const RunConfig& config, int64_t num_ranks) {
  const int64_t tensor = config.parallel.tensor_parallel_size;
  if (num_ranks % tensor != 0) {
    throw std::invalid_argument(
        fmt::format("parallel.tensor_parallel_size: expected a divisor of the {} ranks, got {}",
                    num_ranks, tensor));
  }
  PlanInput input;
  input.shape = config.model.shape;
  input.mesh = {tensor, num_ranks / tensor};
  input.sequence_parallel = config.parallel.sequence_parallel;
  input.recompute = config.recompute;
  input.reproducible = config.reproducible;
  input.leaf_group_size = config.leaf_group_size;
  input.loss_chunk_tokens = config.loss_chunk_tokens;
  input.products = linear_products(config);
  input.state = state_bytes(config);
  input.overlap = overlap_of(config.parallel.device, config.parallel.overlap_chunks);
  for (const StageConfig& stage : config.stages) add_spans(stage, input.spans);
  const CheckpointConfig& saves = config.checkpoint;
  input.seconds_between_saves = saves.interval_seconds;
  (saves.interval.unit == Duration::Unit::kSteps ? input.steps_between_saves
                                                 : input.tokens_between_saves) =
      saves.interval.count;
  input.asynchronous_saves = saves.asynchronous;
  return input;
}

std::string recompute_name(Recompute recompute) {
  switch (recompute) {
    case Recompute::kNone:
      return "none";
    case Recompute::kSelective:
      return "selective";
    case Recompute::kFull:
      break;
  }
  return "full";
}

int64_t micro_batches_of_replica(const PlanInput& input, const WorkSpan& span) {
  const int64_t rows_at_once = input.mesh.data_parallel * span.micro_batch_size;
  return (span.rows_per_step + rows_at_once - 1) / rows_at_once;
}

ActivationOptions activation_options(const PlanInput& input) {
  return {input.recompute, input.state.weight, input.mesh.tensor_parallel, input.sequence_parallel};
}

}  // namespace phalanx
