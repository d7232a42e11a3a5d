#include "trainer/checkpoint/share_pieces.h"

#include <ATen/ops/empty.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <stdexcept>

#include "trainer/checkpoint/slice_layout.h"

namespace phalanx {

std::vector<SharePiece> share_pieces(const ParameterSet& parameters,
                                     const std::vector<BucketShare>& shares) {
  std::vector<SharePiece> pieces;
  for (size_t b = 0; b < shares.size(); ++b) {
    const BucketShare& share = shares[b];
    for (const Parameter* parameter : parameters.buckets().at(b).parameters) {
      const int64_t begin = std::max(parameter->offset, share.begin);
      const int64_t end = std::min(parameter->offset + parameter->numel, share.begin + share.numel);
      if (begin >= end) continue;
      pieces.push_back({parameter,
                        static_cast<int64_t>(b),
                        begin - share.begin,
                        {begin - parameter->offset, end - parameter->offset}});
    }
  }
  return pieces;
}

void check_same_tensors(const TensorSource& source, const ParameterSet& parameters) {
  std::set<std::string> names;
  for (const auto& parameter : parameters.parameters()) {
    names.insert(parameter->name);
    const std::string where = fmt::format("{}: tensor {}", source.description(), parameter->name);
    const std::string expected =
        fmt::format("expected shape [{}]", fmt::join(parameter->spec.full_shape, ", "));
    const auto found = source.shapes().find(parameter->name);
    if (found == source.shapes().end()) {
      throw std::invalid_argument(fmt::format("{}: {}, found no such tensor", where, expected));
    }
    if (found->second != parameter->spec.full_shape) {
      throw std::invalid_argument(
          fmt::format("{}: {}, found [{}]", where, expected, fmt::join(found->second, ", ")));
    }
  }
  for (const auto& [name, shape] : source.shapes()) {
    if (names.contains(name)) continue;
    throw std::invalid_argument(
        fmt::format("{}: tensor {}: found shape [{}], but the model has no "
                    "such tensor",
                    source.description(), name, fmt::join(shape, ", ")));
  }
}

void fill_shares(TensorSource& source, const ParameterSet& parameters,
                 std::vector<BucketShare>& shares, const ShareKind& kind) {
  for (BucketShare& share : shares) (share.*kind.tensor).zero_();
  for (const SharePiece& piece : share_pieces(parameters, shares)) {
    const ShardSpec& spec = piece.parameter->spec;
    const at::Tensor target =
        (shares[piece.bucket].*kind.tensor).narrow(0, piece.offset, piece.stored.size());
    const bool direct = target.is_cpu() && target.scalar_type() == at::kFloat;
    const at::Tensor host =
        direct ? target : at::empty({piece.stored.size()}, at::TensorOptions(at::kFloat));
    float* values = host.data_ptr<float>();
    const SliceLayout layout = slice_layout(spec.full_shape, spec.dim, spec.stored());
    visit_runs(layout, piece.stored, [&](const Run& run) {
      source.read(piece.parameter->name, run.full,
                  {values + (run.slice - piece.stored.begin), static_cast<size_t>(run.numel)});
    });
    if (!direct) target.copy_(host);
  }
}

}  // namespace phalanx
