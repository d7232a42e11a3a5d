#include "trainer/tensor_hash.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <span>

#include "data/block_hash.h"

namespace phalanx {
namespace {

/// Elements that are widened at one time.
constexpr int64_t kElementsAtOnce = int64_t{1} << 24;

}  // namespace

at::Tensor keyed_bit_sum(const at::Tensor& tensor) {
  TORCH_INTERNAL_ASSERT(tensor.element_size() == 2 || tensor.element_size() == 4);
  const at::Tensor bits_N =
      tensor.view({-1}).view(tensor.element_size() == 2 ? at::kShort : at::kInt);
  at::Tensor sum = at::zeros({}, bits_N.options().dtype(at::kLong));
  for (int64_t first = 0; first < bits_N.numel(); first += kElementsAtOnce) {
    const int64_t count = std::min(kElementsAtOnce, bits_N.numel() - first);
    const at::Tensor odd_N = at::arange(first, first + count, sum.options()).mul_(2).add_(1);
    sum += odd_N.mul_(bits_N.narrow(0, first, count)).sum();
  }
  return sum;
}

std::vector<uint64_t> tensor_hashes(const std::vector<at::Tensor>& tensors) {
  std::vector<uint64_t> hashes;
  std::vector<at::Tensor> sums;  // to the host at once, which waits for them
  for (const at::Tensor& tensor : tensors) {
    if (tensor.is_cpu()) {
      const auto* data = static_cast<const std::byte*>(tensor.const_data_ptr());
      hashes.push_back(xxh3(std::span(data, tensor.nbytes())));
    } else {
      sums.push_back(keyed_bit_sum(tensor));
    }
  }
  if (sums.empty()) return hashes;
  TORCH_INTERNAL_ASSERT(hashes.empty(), "tensors of one device are expected");
  const at::Tensor all = at::stack(sums).cpu();
  const int64_t* sum = all.const_data_ptr<int64_t>();
  for (int64_t i = 0; i < all.numel(); ++i) hashes.push_back(static_cast<uint64_t>(sum[i]));
  return hashes;
}

}  // namespace phalanx
