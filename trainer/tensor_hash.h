#pragma once
// A number that changes when any bit of a tensor does: to compare copies of it, or a tensor with
// what it was. On the host XXH3; on another device a sum of the elements' bits, each times an odd
// number of its place, so that only 64 bits come to the host. Local. Stream: the current one; waits
// for it. The two are not equal to one another.
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace phalanx {

/// Of contiguous tensors of 2 or 4 bytes an element, together.
std::vector<uint64_t> tensor_hashes(const std::vector<at::Tensor>& tensors);

/// As on a device; [] int64 there.
at::Tensor keyed_bit_sum(const at::Tensor& tensor);

}  // namespace phalanx
