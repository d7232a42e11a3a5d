#include "trainer/state_check.h"

#include <ATen/ops/full.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <map>

#include "parallel/agreement.h"
#include "parallel/rank_place.h"
#include "trainer/checkpoint/share_pieces.h"
#include "trainer/tensor_hash.h"

namespace phalanx {
namespace {

constexpr int64_t kNothing = std::numeric_limits<int64_t>::min();

bool is_alike_on_tensor_axis(const ParameterSet& set, const Parameter& parameter) {
  return set.buckets()[static_cast<size_t>(parameter.bucket)].summed_over_tp;
}

std::vector<uint64_t> weight_hashes(ParameterSet& set) {
  std::vector<at::Tensor> weights;
  for (const auto& parameter : set.parameters()) {
    parameter->home->finish_gather();
    weights.push_back(parameter->home->weights.narrow(0, parameter->offset, parameter->numel));
  }
  return tensor_hashes(weights);
}

/// The ranks that do not hold what most of them hold; all of them where no value is that of most.
std::vector<int> suspects(const std::map<uint64_t, std::vector<int>>& ranks_by_hash) {
  size_t num_ranks = 0, most = 0;
  for (const auto& [hash, ranks] : ranks_by_hash) {
    num_ranks += ranks.size();
    most = std::max(most, ranks.size());
  }
  std::vector<int> found;
  for (const auto& [hash, ranks] : ranks_by_hash) {
    if (2 * most > num_ranks && ranks.size() == most) continue;
    found.insert(found.end(), ranks.begin(), ranks.end());
  }
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace

/// Collective over control: the ranks that hold a copy which `parameter` is compared with.
std::string StateCheck::name_copies(const std::vector<uint64_t>& hashes, size_t parameter) {
  const Parameter& mine = *parameters_.parameters()[parameter];
  std::string bytes(sizeof(uint64_t), '\0');
  std::memcpy(bytes.data(), &hashes[parameter], sizeof(uint64_t));
  bytes += rank_place(context_.mesh.rank(), context_.device);
  const std::vector<std::string> all = all_gather_strings(context_.control, bytes);
  const bool alike = is_alike_on_tensor_axis(parameters_, mine);
  std::vector<std::string> groups;
  for (int tp = 0; tp < (alike ? 1 : context_.mesh.tp_size); ++tp) {
    std::map<uint64_t, std::vector<int>> ranks_by_hash;
    for (int rank = tp; rank < context_.mesh.world_size();
         rank += alike ? 1 : context_.mesh.tp_size) {
      uint64_t hash = 0;
      std::memcpy(&hash, all[static_cast<size_t>(rank)].data(), sizeof hash);
      ranks_by_hash[hash].push_back(rank);
    }
    if (ranks_by_hash.size() < 2) continue;
    std::vector<std::string> places;
    for (const int rank : suspects(ranks_by_hash)) {
      places.push_back(all[static_cast<size_t>(rank)].substr(sizeof(uint64_t)));
    }
    groups.push_back(fmt::format("{} on {}", mine.name, fmt::join(places, ", ")));
  }
  return fmt::format("{}", fmt::join(groups, "; "));
}

std::string StateCheck::differing_weights() {
  const std::vector<uint64_t> hashes = weight_hashes(parameters_);
  const auto count = static_cast<int64_t>(hashes.size());
  const int64_t parts = context_.mesh.tp_size;
  // The largest value, and the smallest by its complement, of each tensor part.
  const at::Tensor bounds = at::full({2, parts, count}, kNothing, at::kLong);
  int64_t* high = bounds.mutable_data_ptr<int64_t>();
  int64_t* low = high + parts * count;
  for (int64_t i = 0; i < count; ++i) {
    const Parameter& parameter = *parameters_.parameters()[static_cast<size_t>(i)];
    const bool alike = is_alike_on_tensor_axis(parameters_, parameter);
    const int64_t place = (alike ? 0 : context_.mesh.tp_rank) * count + i;
    high[place] = static_cast<int64_t>(hashes[static_cast<size_t>(i)]);
    low[place] = ~high[place];
  }
  context_.control.all_reduce(bounds, ReduceOp::kMax)->wait();
  std::vector<std::string> names;
  for (int64_t i = 0; i < count; ++i) {
    bool differs = false;
    for (int64_t place = i; place < parts * count; place += count) {
      const bool nobody = high[place] == kNothing && low[place] == kNothing;
      differs |= !nobody && high[place] != ~low[place];
    }
    if (differs) names.push_back(name_copies(hashes, static_cast<size_t>(i)));
  }
  return fmt::format("{}", fmt::join(names, "; "));
}

std::vector<uint64_t> StateCheck::state_hashes() const {
  std::vector<at::Tensor> parts;
  for (const SharePiece& piece : share_pieces(parameters_, optimizer_.shares())) {
    const BucketShare& share = optimizer_.shares()[static_cast<size_t>(piece.bucket)];
    for (const ShareKind& kind : kShareKinds) {
      parts.push_back((share.*kind.tensor).narrow(0, piece.offset, piece.stored.size()));
    }
  }
  return tensor_hashes(parts);
}

void StateCheck::compare_state() const {
  run_together(context_.control, [&] {
    const std::vector<uint64_t> now = state_hashes();
    if (now == *state_) return;
    const auto [first, unused] = std::mismatch(now.begin(), now.end(), state_->begin());
    const auto place = static_cast<size_t>(first - now.begin());
    const SharePiece piece =
        share_pieces(parameters_, optimizer_.shares())[place / kShareKinds.size()];
    throw ExitError(
        ExitCode::kFaultyHardware,
        fmt::format("numbers: {} of {} on {} of replica {} changed between two "
                    "updates: its memory is not to be trusted. Go on without that "
                    "machine, from a checkpoint of an earlier step",
                    kShareKinds[place % kShareKinds.size()].name, piece.parameter->name,
                    rank_place(context_.mesh.rank(), context_.device), context_.mesh.dp_rank));
  });
}

std::string StateCheck::before_update(int64_t step, bool suspicious) {
  if (state_) compare_state();  // first: weights are mended from the masters
  const bool has_copies = interval_ != 0 && context_.mesh.world_size() > 1;
  if (!has_copies || !(suspicious || is_due(step))) return {};
  const std::string found = differing_weights();
  if (found.empty()) return {};
  if (optimizer_.masters_are_weights()) {
    end_run(step, found + ". They have no masters (optimizer.master: bf16) to be made again from");
  }
  optimizer_.write_weights();
  optimizer_.gather_weights();
  const std::string again = differing_weights();
  if (!again.empty()) {
    end_run(step, found + ", and again after they were made from the masters: " + again);
  }
  return fmt::format(
      "step {}: copies of weights differed: {}. Made again from the masters they "
      "agree: transient, the step was computed again",
      step, found);
}

void StateCheck::end_run(int64_t step, const std::string& found) {
  throw AgreedError(ExitCode::kFaultyHardware,
                    fmt::format("numbers: step {}: copies of weights differ: {}. Go on from the "
                                "newest checkpoint, without that machine",
                                step, found));
}

void StateCheck::after_update(int64_t step) {
  state_ = is_due(step) ? std::optional(state_hashes()) : std::nullopt;
}

}  // namespace phalanx
