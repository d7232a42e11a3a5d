#pragma once
// Gradients of micro-batches as leaves of a binary tree. Leaves come one after another, in the
// order of the global batch; `group_size` neighbours are added in their order, and the sums of
// groups pairwise, then pairs of pairs, as far as the leaves of this replica go: ranks go on with
// their sums in SumOrder::kTreeOrder. So the bits do not depend on how many replicas share the
// tree, as long as each holds a whole subtree: a power of two of groups, alike many on all. Local,
// one thread. Stream: that of the caller. Memory: num_buffers() times a leaf, kept from step to
// step.
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace phalanx {

class LeafSums {
 public:
  explicit LeafSums(int64_t group_size) : group_size_(group_size) {}

  /// A step of so many leaves, a multiple of group_size.
  void begin(int64_t num_leaves);
  /// Takes the next leaf in. Afterwards `leaf` is zero, or, after the last one, the sum of all
  /// (true).
  bool add(const at::Tensor& leaf);

  /// Besides the leaf itself, for so many leaves.
  static int64_t num_buffers(int64_t num_leaves, int64_t group_size);

 private:
  bool ends_group(const at::Tensor& leaf);

  int64_t group_size_;
  int64_t num_leaves_ = 0;
  int64_t leaf_ = 0;                  // leaves taken in
  at::Tensor group_;                  // of the group at hand, but for its last leaf
  std::vector<at::Tensor> subtrees_;  // [level]: sum of 2^level groups that waits for its neighbour
};

}  // namespace phalanx
