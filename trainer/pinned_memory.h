#pragma once
// Host memory that a GPU copies to and from while others compute: page-locked, and not a byte more
// than asked for (LibTorch's own allocator rounds up to a power of two).
// Local. Ownership: the tensor's; the pages are unlocked and given back with it.
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

namespace phalanx {

/// A flat tensor of zeros. Throws std::system_error, beginning with the setting `asked_by` that
/// wants it, when the pages cannot be had or locked; std::invalid_argument in a build without CUDA.
at::Tensor pinned_zeros(int64_t numel, at::ScalarType dtype, const std::string& asked_by);

}  // namespace phalanx
