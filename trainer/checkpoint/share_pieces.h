#pragma once
// What one rank holds of each logical tensor under ZeRO-1, and how it is filled from a source that
// was written at any tensor and data parallel size.
//
// Local. Refers to the ParameterSet; shares may live on any device.
// Errors: std::invalid_argument when the tensors of the source are not those of the model.
#include <array>
#include <cstdint>
#include <vector>

#include "parallel/parameters.h"
#include "trainer/adamw.h"
#include "trainer/checkpoint/tensor_source.h"

namespace phalanx {

/// The tensors of a share (fp32 or bf16), under the names they have in a checkpoint.
struct ShareKind {
  const char* name;
  at::Tensor BucketShare::*tensor;
};
inline constexpr std::array<ShareKind, 3> kShareKinds{{{"master", &BucketShare::master},
                                                       {"exp_avg", &BucketShare::exp_avg},
                                                       {"exp_avg_sq", &BucketShare::exp_avg_sq}}};

/// Elements [stored) of a parameter's stored part; they begin at `offset` of the bucket's share.
struct SharePiece {
  const Parameter* parameter = nullptr;
  int64_t bucket = 0;
  int64_t offset = 0;
  Range stored;
};

/// At most one piece of each parameter, none of them empty; shares[b] belongs to bucket b.
[[nodiscard]] std::vector<SharePiece> share_pieces(const ParameterSet& parameters,
                                                   const std::vector<BucketShare>& shares);

/// Same names, same shapes.
void check_same_tensors(const TensorSource& source, const ParameterSet& parameters);

/// Reads this rank's part of every tensor into `kind` of the shares; padding becomes zero. A bf16
/// share takes the nearest values (exact where the source has bf16 too).
void fill_shares(TensorSource& source, const ParameterSet& parameters,
                 std::vector<BucketShare>& shares, const ShareKind& kind);

}  // namespace phalanx
