#include "trainer/replica.h"

#include <algorithm>

#include "model/init.h"
#include "parallel/agreement.h"
#include "parallel/tp_overlap.h"
#include "trainer/checkpoint/initial_weights.h"

namespace phalanx {
namespace {

Phi4Options model_options(const RunConfig& config) {
  return {config.recompute, config.loss_chunk_tokens, config.optimizer.decay_norms};
}

/// `off` leaves the order over ranks to the library.
GradientSums gradient_sums(const RunConfig& config) {
  switch (config.reproducible) {
    case Reproducible::kOff:
      return {SumOrder::kAny, 0};
    case Reproducible::kSameMesh:
      return {SumOrder::kRankOrder, 0};
    case Reproducible::kDpInvariant:
      break;
  }
  return {SumOrder::kTreeOrder, config.leaf_group_size};
}

}  // namespace

Replica::Replica(const RunConfig& config, const RunContext& context, const StartTensors& start)
    : parameters_(linear_products(config)),
      tensor_parallel_(
          context.tp, config.parallel.sequence_parallel,
          num_overlap_chunks(config.parallel.overlap_chunks, context.device.is_cuda())),
      model_(config.model.shape, model_options(config), parameters_, tensor_parallel_) {
  parameters_.allocate(dtype_of(config.precision), context.device, context.dp.size(),
                       dtype_of(config.gradients));
  grads_ = std::make_unique<GradBuckets>(parameters_, context.dp, context.tp, config.model.seed,
                                         gradient_sums(config));
  run_together(context.control, [&] {
    optimizer_ =
        std::make_unique<AdamW>(config.optimizer, parameters_, context.dp, config.model.seed);
    load(config, start);
  });
  optimizer_->write_weights();
  optimizer_->gather_weights();
}

void Replica::load(const RunConfig& config, const StartTensors& start) {
  if (start.checkpoint != nullptr) {
    load_checkpoint(*start.checkpoint, config.model.shape, parameters_, optimizer_->shares(),
                    start.moments);
  } else if (!config.model.init_from.empty()) {
    load_initial_weights(config.model.init_from, config.model.shape, parameters_,
                         optimizer_->shares());
  } else {
    draw_masters(config);
  }
}

/// Draws each stored tensor whole and keeps what falls into this replica's shares.
void Replica::draw_masters(const RunConfig& config) {
  for (const auto& parameter : parameters_.parameters()) {
    BucketShare& share = optimizer_->shares()[static_cast<size_t>(parameter->bucket)];
    const int64_t begin = std::max(parameter->offset, share.begin);
    const int64_t end = std::min(parameter->offset + parameter->numel, share.begin + share.numel);
    if (begin >= end) continue;
    const at::Tensor value =
        initial_value(*parameter, config.model.shape, config.model.seed, share.master.device());
    share.master.narrow(0, begin - share.begin, end - begin)
        .copy_(value.flatten().narrow(0, begin - parameter->offset, end - begin));
  }
}

}  // namespace phalanx
