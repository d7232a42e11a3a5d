#include "trainer/planner/step_plan.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "parallel/fp8.h"
#include "parallel/shard_spec.h"

namespace phalanx {
namespace {

constexpr double kAttentionBackward = 2.5;  // of the forward pass
constexpr double kLeafMoved = 6;            // values a gradient and micro-batch: LeafSums
constexpr double kLogitsBytes = 26;         // moved a logit: the loss and its gradient
constexpr double kFp8CastBytes = 5;         // moved a value: read for the scale, read, written

/// Values that elementwise operations move a token and layer: of the residual stream, of query, key
/// and value, and of the feed-forward's part.
struct Moved {
  double stream, qkv, feed_forward;
};
constexpr Moved kForwardMoved = {12, 2, 3};
constexpr Moved kBackwardMoved = {16, 2, 5};
constexpr Moved kSelectiveMoved = {4, 0, 3};  // what the backward pass makes again

/// Forward and backward of one micro-batch, by part.
struct Pass {
  double gemm = 0, attention = 0, elementwise = 0, loss = 0;
  double seconds() const { return gemm + attention + elementwise + loss; }
};

class RankWork {
 public:
  RankWork(const PlanInput& input, const WorkSpan& span, const Accelerator& accelerator)
      : input_(input), span_(span), accelerator_(accelerator) {
    const Phi4Config& shape = input.shape;
    const int64_t parts = input.mesh.tensor_parallel;
    const HeadSplit heads =
        split_heads(shape.num_attention_heads, shape.num_key_value_heads, parts, 0);
    query_ = double(heads.query.size() * shape.head_dim);
    qkv_ = query_ + 2 * double(heads.key_value.size() * shape.head_dim);
    hidden_ = double(shape.hidden_size);
    feed_forward_ = double(split_range(shape.intermediate_size, parts, 0).size());
    vocabulary_ = double(split_range(shape.vocab_size, parts, 0).size());
    tokens_ = double(span.micro_batch_tokens());
  }

  Pass forward() const {
    const double layers = double(input_.shape.num_hidden_layers);
    return {layers * layer_products(false), layers * attention(), layers * moved(kForwardMoved), 0};
  }

  /// With what is computed again, and the loss, whose gradient is made with it.
  Pass backward() const {
    const double layers = double(input_.shape.num_hidden_layers);
    Pass pass{layers * layer_products(true), layers * kAttentionBackward * attention(),
              layers * moved(kBackwardMoved), loss()};
    if (input_.recompute == Recompute::kSelective) {
      pass.elementwise += layers * moved(kSelectiveMoved);
    } else if (input_.recompute == Recompute::kFull) {
      const Pass again = forward();
      pass.gemm += again.gemm;
      pass.attention += again.attention;
      pass.elementwise += again.elementwise;
    }
    return pass;
  }

 private:
  double product(double m, double n, double k) const {
    return gemm_seconds(accelerator_, m, n, k, input_.state.weight);
  }

  double layer_product(double m, double n, double k) const {
    const bool fp8 =
        input_.products != Products::kCompute && takes_fp8(std::llround(k), std::llround(n));
    return fp8 ? fp8_gemm_seconds(accelerator_, m, n, k) : product(m, n, k);
  }

  double layer_products(bool backward) const {
    double seconds = 0;
    for (const auto& [out, in] : {std::pair{qkv_, hidden_},
                                  {hidden_, query_},
                                  {2 * feed_forward_, hidden_},
                                  {hidden_, feed_forward_}}) {
      seconds += backward ? layer_product(tokens_, in, out) + layer_product(out, in, tokens_)
                          : layer_product(tokens_, out, in);
    }
    return seconds;
  }

  double attention() const {
    const double length = double(span_.sequence_length),
                 window = double(input_.shape.sliding_window);
    const double keys = input_.shape.is_windowed(span_.sequence_length)
                            ? window - window * window / (2 * length)
                            : length / 2;
    return 4 * tokens_ * keys * query_ /
           (peak_flops(accelerator_, input_.state.weight) * accelerator_.attention_share);
  }

  double moved(const Moved& values) const {
    const double spread = input_.sequence_parallel ? double(input_.mesh.tensor_parallel) : 1.0;
    const double a_token =
        values.stream * hidden_ / spread + values.qkv * qkv_ + values.feed_forward * feed_forward_;
    return tokens_ * a_token * double(input_.state.weight) / accelerator_.memory_bandwidth;
  }

  double loss() const {
    const double chunk = std::min(double(input_.loss_chunk_tokens), tokens_);
    return tokens_ / chunk *
               (2 * product(chunk, vocabulary_, hidden_) + product(vocabulary_, hidden_, chunk)) +
           tokens_ * vocabulary_ * kLogitsBytes / accelerator_.memory_bandwidth;
  }

  const PlanInput& input_;
  const WorkSpan& span_;
  const Accelerator& accelerator_;
  double query_, qkv_, hidden_, feed_forward_, vocabulary_, tokens_;
};

double call_seconds(const Link& link, int64_t group_size) {
  return link.latency * std::ceil(std::log2(double(group_size)));
}

Collective collective(const std::string& name, const std::string& axis, const Link& link,
                      int64_t group_size, double calls, double bytes_a_call) {
  Collective c{name, axis, link, calls, calls * bytes_a_call, 0, 0};
  c.seconds = c.bytes / link.bandwidth + calls * call_seconds(link, group_size);
  c.exposed_seconds = c.seconds;
  return c;
}

/// Of all micro-batches. Between layers the tokens are gathered and reduced: forward two of each
/// (as many again under full recomputation), backward four and two, and one of each at the
/// embedding and at the head. Without sequence parallelism an all-reduce stands for each pair.
/// Those of the layers are cut and hidden in part, all together by at most what the products take.
void add_tensor_collectives(const PlanInput& input, const WorkSpan& span, double micro_batches,
                            double product_seconds, const Accelerator& accelerator,
                            std::vector<Collective>& collectives) {
  const int64_t parts = input.mesh.tensor_parallel;
  if (parts == 1) return;
  const Link link = link_of_group(accelerator, parts, 1);
  const double layers = double(input.shape.num_hidden_layers);
  const double again = input.recompute == Recompute::kFull ? 2 * layers : 0;
  const double part = double(span.micro_batch_tokens()) * double(input.shape.hidden_size) *
                      double(input.state.weight) * double(parts - 1) / double(parts);
  double behind = product_seconds;  // what is left to hide behind
  const auto add = [&](const char* name, double of_layers, double bytes) {
    const double calls = of_layers + 2;
    Collective c = collective(name, "tp", link, parts, micro_batches * calls, bytes);
    const double hidden = std::min(behind, input.overlap.tensor * c.seconds * of_layers / calls);
    c.exposed_seconds -= hidden;
    behind -= hidden;
    collectives.push_back(c);
  };
  if (input.sequence_parallel) {
    add("all-gather of tokens", 6 * layers + again, part);
    add("reduce-scatter of tokens", 4 * layers + again, part);
  } else {
    add("all-reduce of tokens", 4 * layers + again, 2 * part);
  }
}

/// `window`: seconds of computation that may hide it. The last of its calls has nothing behind it.
void hide(Collective& c, double window) {
  const double last = c.seconds / std::max(1.0, c.calls);
  c.exposed_seconds = std::max(last, c.seconds - window);
}

/// A GPU that sums in an order of its own writes the pieces of all replicas and reads them again; a
/// host always does, which its rates contain.
void add_ordered_sums(const PlanInput& input, const StoredParameters& stored,
                      const Accelerator& accelerator, Collective& gradients) {
  if (input.reproducible == Reproducible::kOff || accelerator.device == DeviceKind::kCpu) return;
  const double bytes = 2 * double(stored.numel) * double(input.state.gradient);
  gradients.seconds += bytes / accelerator.memory_bandwidth;
  gradients.exposed_seconds = gradients.seconds;
}

void add_data_collectives(const PlanInput& input, const Pass& forward, const Pass& backward,
                          const Accelerator& accelerator, std::vector<Collective>& collectives) {
  const int64_t replicas = input.mesh.data_parallel, parts = input.mesh.tensor_parallel;
  const StoredParameters stored = stored_parameters(input.shape, input.mesh);
  if (replicas > 1) {
    const Link link = link_of_group(accelerator, replicas, parts);
    const double sent = double(stored.numel) * double(replicas - 1) / double(replicas);
    const double calls = double(stored.num_buckets);
    Collective gradients = collective("reduce-scatter of gradients", "dp", link, replicas, calls,
                                      sent * double(input.state.gradient) / calls);
    add_ordered_sums(input, stored, accelerator, gradients);
    if (input.overlap.gradients) hide(gradients, backward.seconds());
    Collective weights = collective("all-gather of weights", "dp", link, replicas, calls,
                                    sent * double(input.state.weight) / calls);
    if (input.overlap.weights) hide(weights, forward.seconds());
    collectives.push_back(gradients);
    collectives.push_back(weights);
  }
  if (parts > 1) {
    const double share = double(stored.shared) / double(replicas) * double(input.state.gradient);
    collectives.push_back(collective("all-reduce of shared gradients", "tp",
                                     link_of_group(accelerator, parts, 1), parts, 1,
                                     2 * share * double(parts - 1) / double(parts)));
  }
}

/// Gradients are zeroed, written through once more than the products do, and read for their norm;
/// the update reads and writes the share's state. Leaves of a tree are copied, added and zeroed.
double update_seconds(const PlanInput& input, double micro_batches,
                      const Accelerator& accelerator) {
  const StoredParameters stored = stored_parameters(input.shape, input.mesh);
  const double share = double(stored.numel) / double(input.mesh.data_parallel);
  const double state = share * 2 * double(input.state.optimizer());
  const double bytes = 3 * double(stored.numel) * double(input.state.gradient) +
                       share * double(input.state.gradient + input.state.weight);
  const double leaves =
      input.reproducible == Reproducible::kDpInvariant
          ? micro_batches * kLeafMoved * double(stored.numel) * double(input.state.gradient)
          : 0;
  const double transfer = input.state.offload ? state / accelerator.host_bandwidth : 0;
  return (bytes + state + leaves) / accelerator.memory_bandwidth + transfer;
}

}  // namespace

double StepPlan::exposed_seconds() const {
  double sum = 0;
  for (const Collective& c : collectives) sum += c.exposed_seconds;
  return sum;
}

double peak_flops(const Accelerator& accelerator, int64_t bytes_per_value) {
  return bytes_per_value == 2 ? accelerator.bf16_flops : accelerator.fp32_flops;
}

double gemm_seconds(const Accelerator& accelerator, double m, double n, double k,
                    int64_t bytes_per_value) {
  return 2 * m * n * k /
         (peak_flops(accelerator, bytes_per_value) * gemm_share(accelerator, m, n, k));
}

double fp8_gemm_seconds(const Accelerator& accelerator, double m, double n, double k) {
  const double product = 2 * m * n * k / (accelerator.fp8_flops * gemm_share(accelerator, m, n, k));
  return product + kFp8CastBytes * k * (m + n) / accelerator.memory_bandwidth;
}

StepPlan plan_step(const PlanInput& input, const WorkSpan& span, const Accelerator& accelerator) {
  const RankWork work(input, span, accelerator);
  const Pass forward = work.forward(), backward = work.backward();
  StepPlan plan;
  plan.num_micro_batches = double(micro_batches_of_replica(input, span));
  plan.tokens = double(span.tokens_per_step());
  plan.flops = plan.tokens * flops_per_token(input.shape, span.sequence_length);
  const double micro = plan.num_micro_batches;
  plan.gemm_seconds = micro * (forward.gemm + backward.gemm);
  plan.attention_seconds = micro * (forward.attention + backward.attention);
  plan.elementwise_seconds = micro * (forward.elementwise + backward.elementwise);
  plan.loss_seconds = micro * backward.loss;
  plan.optimizer_seconds = update_seconds(input, micro, accelerator);
  add_tensor_collectives(input, span, micro, plan.gemm_seconds, accelerator, plan.collectives);
  add_data_collectives(input, forward, backward, accelerator, plan.collectives);
  if (input.mesh.num_ranks() > accelerator.ranks_per_node && input.mesh.data_parallel > 1) {
    plan.waiting_seconds = accelerator.network_step_seconds;
  }
  plan.seconds = micro * (forward.seconds() + backward.seconds()) + plan.optimizer_seconds +
                 plan.waiting_seconds + plan.exposed_seconds();
  plan.tokens_per_second = plan.tokens / plan.seconds;
  plan.mfu = plan.flops / (plan.seconds * double(input.mesh.num_ranks()) *
                           peak_flops(accelerator, input.state.weight));
  return plan;
}

}  // namespace phalanx
