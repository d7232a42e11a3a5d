#pragma once
// Sums of rows, one from each rank, in an order that does not depend on the transport: what
// host_sums.h does for buffers, with LibTorch's operations, for tensors of any device. Local.
// Stream: the current one.
#include <ATen/core/Tensor.h>

#include "parallel/communicator.h"

namespace phalanx {

/// Of kRankOrder or kTreeOrder; bf16 is added in fp32 and rounded once. Rows may be overwritten.
at::Tensor sum_rows(const at::Tensor& rows_RM, SumOrder order);

}  // namespace phalanx
