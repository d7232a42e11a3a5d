#include "trainer/metrics/step_trace.h"

#include <torch/csrc/autograd/profiler_kineto.h>

#include <cerrno>
#include <set>
#include <system_error>
#include <utility>

namespace phalanx {
namespace {

using torch::profiler::impl::ActivityType;
using torch::profiler::impl::ProfilerConfig;
using torch::profiler::impl::ProfilerState;

}  // namespace

StepTrace::StepTrace(TraceSteps steps, std::filesystem::path file, bool with_cuda)
    : steps_(steps), file_(std::move(file)), with_cuda_(with_cuda) {
  if (steps_.first > 0) std::filesystem::create_directories(file_.parent_path());
}

StepTrace::~StepTrace() {
  if (running_) torch::autograd::profiler::disableProfiler();  // a failure: no file
}

void StepTrace::begin_step(int64_t step) {
  if (running_ || steps_.first == 0 || step < steps_.first || step > steps_.last) return;
  const ProfilerConfig config(ProfilerState::KINETO);
  std::set<ActivityType> activities = {ActivityType::CPU};
  if (with_cuda_) activities.insert(ActivityType::CUDA);
  torch::autograd::profiler::prepareProfiler(config, activities);
  torch::autograd::profiler::enableProfiler(
      config, activities, {at::RecordScope::FUNCTION, at::RecordScope::USER_SCOPE});
  running_ = true;
}

void StepTrace::end_step(int64_t step) {
  if (step >= steps_.last) finish();
}

void StepTrace::finish() {
  if (!running_) return;
  running_ = false;
  torch::autograd::profiler::disableProfiler()->save(file_.string());
  // The library only logs what it could not write.
  if (std::filesystem::exists(file_) && std::filesystem::file_size(file_) > 0) return;
  throw std::system_error(EIO, std::generic_category(), "write " + file_.string());
}

}  // namespace phalanx
