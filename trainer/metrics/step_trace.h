#pragma once
// A trace of some steps of this rank, by LibTorch's profiler (Kineto): operations, the named parts
// of a step and, on CUDA, kernels and NCCL, as Chrome trace events, which Perfetto and
// chrome://tracing draw. Local. Threads: the training thread's events only. At most one at a time
// in a process. Errors: a folder that cannot be made is std::filesystem::filesystem_error; a trace
// that was not written is std::system_error.
#include <cstdint>
#include <filesystem>

namespace phalanx {

/// Steps as metrics.jsonl counts them, from 1; both ends included. first 0: none.
struct TraceSteps {
  int64_t first = 0, last = 0;
};

class StepTrace {
 public:
  /// Writes to `file` once the last step has ended.
  StepTrace(TraceSteps steps, std::filesystem::path file, bool with_cuda);
  ~StepTrace();
  StepTrace(const StepTrace&) = delete;
  StepTrace& operator=(const StepTrace&) = delete;

  void begin_step(int64_t step);
  void end_step(int64_t step);
  /// The run ends here: writes what there is of a range that is not over.
  void finish();

 private:
  TraceSteps steps_;
  std::filesystem::path file_;
  bool with_cuda_;
  bool running_ = false;
};

}  // namespace phalanx
