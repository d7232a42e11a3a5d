#include "tests/bench/kernel_profile.h"

#include <torch/csrc/autograd/profiler_kineto.h>

#include <algorithm>
#include <map>

namespace phalanx {

std::vector<KernelTime> kernel_profile(const std::function<void()>& work) {
  using torch::profiler::impl::ActivityType;
  const torch::profiler::impl::ProfilerConfig config(torch::profiler::impl::ProfilerState::KINETO);
  torch::autograd::profiler::prepareProfiler(config, {ActivityType::CUDA});
  torch::autograd::profiler::enableProfiler(config, {ActivityType::CUDA});
  work();
  const auto result = torch::autograd::profiler::disableProfiler();
  std::map<std::string, KernelTime> by_name;
  for (const auto& event : result->events()) {
    if (event.deviceType() != c10::DeviceType::CUDA) continue;
    KernelTime& kernel = by_name[event.name()];
    kernel.name = event.name();
    kernel.milliseconds += static_cast<double>(event.durationNs()) * 1e-6;
    ++kernel.calls;
  }
  std::vector<KernelTime> kernels;
  for (const auto& [name, kernel] : by_name) kernels.push_back(kernel);
  std::sort(kernels.begin(), kernels.end(), [](const KernelTime& a, const KernelTime& b) {
    return a.milliseconds > b.milliseconds;
  });
  return kernels;
}

}  // namespace phalanx
