#include "trainer/step_guard.h"

#include <ATen/ops/zeros.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "parallel/agreement.h"
#include "parallel/rank_place.h"

namespace phalanx {
namespace {

/// Another division of rows among replicas, or another order of sums, gives other roundings, but no
/// more than these.
constexpr double kRounding = 1e-3;

bool same_bits(double a, double b) {
  return std::bit_cast<uint64_t>(a) == std::bit_cast<uint64_t>(b) ||
         (std::isnan(a) && std::isnan(b));
}

bool nearly_same(double a, double b) {
  if (!std::isfinite(a) || !std::isfinite(b)) return std::isfinite(a) == std::isfinite(b);
  return std::abs(a - b) <= kRounding * std::max(std::abs(a), std::abs(b));
}

const char* text_of(Suspicion suspicion) {
  return suspicion == Suspicion::kSpike ? "is a spike" : "is not finite";
}

const char* text_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::kNone:
      return "";
    case Verdict::kTransient:
      return "; computed again it came out differently: transient, the second result counts";
    case Verdict::kReal:
      return "; another replica computes the same: real";
    case Verdict::kRepeated:
      break;
  }
  return "; computed again it is the same, with no other replica to ask";
}

}  // namespace

SameAgain same_again(at::Device device, Reproducible reproducible) {
  const bool in_order = device.is_cpu() || reproducible != Reproducible::kOff;
  return in_order ? SameAgain::kBits : SameAgain::kRounding;
}

bool StepGuard::same(double a, double b) const {
  return same_again_ == SameAgain::kBits ? same_bits(a, b) : nearly_same(a, b);
}

Suspicion StepGuard::suspicion_of(const StepResult& result, const RecentSteps& recent) const {
  if (!result.is_finite()) return Suspicion::kNotFinite;
  const bool spike = is_spike(recent, config_.spikes, result.loss, result.grad_norm);
  return spike ? Suspicion::kSpike : Suspicion::kNone;
}

/// The passes, made again where the weights they read were not as they should be.
StepResult StepGuard::compute_on_sound_weights(const Batch& batch, const StepInputs& inputs,
                                               int64_t number, const RecentSteps& recent) {
  StepResult result = step_.compute(batch, inputs);
  const bool suspicious = suspicion_of(result, recent) != Suspicion::kNone;
  const std::string mended = check_.before_update(number, suspicious);
  if (!mended.empty()) result = step_.compute(batch, inputs);
  result.review.note = mended;
  return result;
}

StepResult StepGuard::run(const Batch& batch, const StepInputs& inputs, int64_t number,
                          RecentSteps& recent, const RowsOf& rows_of) {
  StepResult result = compute_on_sound_weights(batch, inputs, number, recent);
  StepReview review{suspicion_of(result, recent), Verdict::kNone, result.review.note};
  if (review.suspicion != Suspicion::kNone) {
    review.note +=
        fmt::format("{}step {}: loss {} or gradient norm {} {}", review.note.empty() ? "" : "\n",
                    number, result.loss, result.grad_norm, text_of(review.suspicion));
    if (config_.run_again) {
      review.verdict = look_again(batch, inputs, number, rows_of, result);
      review.suspicion = suspicion_of(result, recent);
      review.note += text_of(review.verdict);
    }
    if (review.suspicion != Suspicion::kNone) review.note += ": the update was skipped";
  }
  if (review.suspicion == Suspicion::kNone) {
    step_.update(inputs);
    result.updated = true;
    check_.after_update(number);
    remember(recent, config_.spikes, result.loss, result.grad_norm);
  }
  result.review = review;
  return result;
}

/// `result` becomes that of the last time the rows of this replica were computed here.
Verdict StepGuard::look_again(const Batch& batch, const StepInputs& inputs, int64_t number,
                              const RowsOf& rows_of, StepResult& result) {
  const StepResult first = result;
  result = step_.compute(batch, inputs);
  if (!same(result.loss, first.loss) || !same(result.grad_norm, first.grad_norm)) {
    return Verdict::kTransient;
  }
  if (context_.mesh.dp_size == 1 || !rows_of) return Verdict::kRepeated;
  return ask_the_others(first, inputs, number, rows_of);
}

/// Throws on all ranks if a replica's rows come out differently on another.
Verdict StepGuard::ask_the_others(const StepResult& first, const StepInputs& inputs, int64_t number,
                                  const RowsOf& rows_of) {
  const double own = step_.own_nats();
  const Mesh& mesh = context_.mesh;
  const Batch moved =
      together(context_.control, [&] { return rows_of((mesh.dp_rank + 1) % mesh.dp_size); });
  const StepResult other = step_.compute(moved, inputs);
  const MovedNats nats = gather_nats(own, step_.own_nats());
  if (nearly_same(other.loss, first.loss) && nearly_same(other.grad_norm, first.grad_norm) &&
      std::equal(nats.at_home.begin(), nats.at_home.end(), nats.elsewhere.begin(), nearly_same)) {
    return Verdict::kReal;
  }
  throw AgreedError(
      ExitCode::kFaultyHardware,
      fmt::format(
          "numbers: step {}: loss {} and gradient norm {} come out the same again, but as "
          "{} and {} when each replica computes the rows of the next: persistent, {}. Go on "
          "from the newest checkpoint, without that machine",
          number, first.loss, first.grad_norm, other.loss, other.grad_norm,
          suspected_replicas(nats)));
}

/// Collective over control. `own`: this replica's rows here; `others`: the next one's rows here.
StepGuard::MovedNats StepGuard::gather_nats(double own, double others) {
  const Mesh& mesh = context_.mesh;
  const at::Tensor sums = at::zeros({2, mesh.dp_size}, at::kDouble);
  double* at_home = sums.mutable_data_ptr<double>();
  double* elsewhere = at_home + mesh.dp_size;
  if (mesh.tp_rank == 0) {
    at_home[mesh.dp_rank] = own;
    elsewhere[(mesh.dp_rank + 1) % mesh.dp_size] = others;
  }
  context_.control.all_reduce(sums, ReduceOp::kSum)->wait();
  return {{at_home, elsewhere}, {elsewhere, elsewhere + mesh.dp_size}};
}

/// Collective over control. A replica is suspected if its rows come out differently elsewhere and
/// those of another differently on it.
std::string StepGuard::suspected_replicas(const MovedNats& nats) {
  const Mesh& mesh = context_.mesh;
  const auto moved = [&](int r) {
    return !same(nats.at_home[static_cast<size_t>(r)], nats.elsewhere[static_cast<size_t>(r)]);
  };
  std::vector<int> found;
  for (int r = 0; r < mesh.dp_size; ++r) {
    if (moved(r) && moved((r + 1) % mesh.dp_size)) found.push_back(r);
  }
  const std::vector<std::string> places =
      all_gather_strings(context_.control, rank_place(mesh.rank(), context_.device));
  if (found.empty()) return "on a replica that losses do not show";
  std::vector<std::string> replicas;
  for (const int r : found) {
    const auto first = places.begin() + mesh.rank_of(r, 0);  // tensor parallelism is innermost
    replicas.push_back(
        fmt::format("replica {}: {}", r, fmt::join(first, first + mesh.tp_size, ", ")));
  }
  return fmt::format("on {}", fmt::join(replicas, " or "));
}

}  // namespace phalanx
