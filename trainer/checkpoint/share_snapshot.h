#pragma once
// A copy of a rank's shares in host memory, to be saved while the run changes them: page-locked for
// shares on a GPU, so that the copy, for which the run stands still, runs at the speed of the bus.
//
// Local; one owner. The memory is taken once and kept for the run: locking pages and touching fresh
// ones costs more than the copy, and a save must not fail for want of memory that the start of the
// run found free. It is as large as the shares. Errors: std::system_error when pages cannot be
// locked.
#include <vector>

#include "trainer/adamw.h"

namespace phalanx {

class ShareSnapshot {
 public:
  /// Takes the memory for shares like these.
  explicit ShareSnapshot(const std::vector<BucketShare>& shares);

  /// Waits for the copy. The shares must be like those of the constructor.
  void take(const std::vector<BucketShare>& shares);
  /// What was taken last; stays where it is.
  const std::vector<BucketShare>& shares() const { return copies_; }

 private:
  std::vector<BucketShare> copies_;
};

/// Is every tensor where a save can read it?
bool on_host(const std::vector<BucketShare>& shares);

}  // namespace phalanx
