#include "parallel/leaf_sums.h"

#include <ATen/ops/empty_like.h>
#include <ATen/record_function.h>
#include <c10/util/Exception.h>

#include <bit>

namespace phalanx {
namespace {

void keep(at::Tensor& buffer, const at::Tensor& value) {
  if (!buffer.defined()) buffer = at::empty_like(value);
  buffer.copy_(value);
}

/// Subtrees that wait at one time.
int64_t num_levels(int64_t num_groups) {
  return std::bit_width(static_cast<uint64_t>(num_groups - 1));
}

}  // namespace

int64_t LeafSums::num_buffers(int64_t num_leaves, int64_t group_size) {
  return num_levels(num_leaves / group_size) + (group_size > 1 ? 1 : 0);
}

void LeafSums::begin(int64_t num_leaves) {
  TORCH_INTERNAL_ASSERT(num_leaves > 0 && num_leaves % group_size_ == 0,
                        "expected whole groups of ", group_size_, " micro-batches, found ",
                        num_leaves);
  num_leaves_ = num_leaves;
  leaf_ = 0;
  subtrees_.resize(static_cast<size_t>(num_levels(num_leaves / group_size_)));
}

/// Then `leaf` is the sum of the group.
bool LeafSums::ends_group(const at::Tensor& leaf) {
  const int64_t place = leaf_ % group_size_;
  const bool last = place + 1 == group_size_;
  if (last && place > 0) leaf.add_(group_);
  if (last) return true;
  if (place == 0) {
    keep(group_, leaf);
  } else {
    group_.add_(leaf);
  }
  return false;
}

bool LeafSums::add(const at::Tensor& leaf) {
  RECORD_USER_SCOPE("sums of micro-batches");
  TORCH_INTERNAL_ASSERT(leaf_ < num_leaves_, "more micro-batches than were declared");
  const bool whole_group = ends_group(leaf);
  const bool last = leaf_ + 1 == num_leaves_;
  const auto group = static_cast<uint64_t>(leaf_ / group_size_);
  ++leaf_;
  if (whole_group) {
    // The bits of the group's number say which subtrees wait on its left.
    size_t level = 0;
    for (; level < subtrees_.size(); ++level) {
      const bool waits = (group >> level & 1) != 0;
      if (waits) leaf.add_(subtrees_[level]);
      if (!waits && !last) break;
    }
    if (last) return true;
    keep(subtrees_[level], leaf);
  }
  leaf.zero_();
  return false;
}

}  // namespace phalanx
