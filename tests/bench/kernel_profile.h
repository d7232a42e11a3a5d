#pragma once
// What the kernels of a piece of GPU work take, by name, from LibTorch's profiler (CUPTI). Not for
// timing the work as a whole: the profiler slows it down.
#include <functional>
#include <string>
#include <vector>

namespace phalanx {

struct KernelTime {
  std::string name;
  double milliseconds = 0.0;
  int64_t calls = 0;
};

/// All kernels, copies and fills that `work` puts on the GPU, the longest first.
std::vector<KernelTime> kernel_profile(const std::function<void()>& work);

}  // namespace phalanx
