#include "trainer/checkpoint/share_snapshot.h"

#include <ATen/ops/empty.h>

#include <algorithm>

#include "trainer/checkpoint/share_pieces.h"
#include "trainer/pinned_memory.h"

namespace phalanx {
namespace {

at::Tensor host_memory_for(const at::Tensor& share) {
  if (share.is_cuda()) {
    return pinned_zeros(share.numel(), share.scalar_type(), "checkpoint.asynchronous: true");
  }
  return at::empty({share.numel()}, share.options());
}

}  // namespace

ShareSnapshot::ShareSnapshot(const std::vector<BucketShare>& shares) {
  for (const BucketShare& share : shares) {
    BucketShare& copy = copies_.emplace_back();
    copy.begin = share.begin;
    copy.numel = share.numel;
    for (const ShareKind& kind : kShareKinds)
      copy.*kind.tensor = host_memory_for(share.*kind.tensor);
  }
}

void ShareSnapshot::take(const std::vector<BucketShare>& shares) {
  for (size_t b = 0; b < shares.size(); ++b) {
    for (const ShareKind& kind : kShareKinds) {
      (copies_[b].*kind.tensor).copy_(shares[b].*kind.tensor);
    }
  }
}

bool on_host(const std::vector<BucketShare>& shares) {
  return std::all_of(shares.begin(), shares.end(), [](const BucketShare& share) {
    return std::all_of(kShareKinds.begin(), kShareKinds.end(),
                       [&](const ShareKind& kind) { return (share.*kind.tensor).is_cpu(); });
  });
}

}  // namespace phalanx
