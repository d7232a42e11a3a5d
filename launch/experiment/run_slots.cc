#include "launch/experiment/run_slots.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <sstream>
#include <stdexcept>

#include "launch/counted.h"

namespace phalanx {
namespace {

std::vector<std::string> gpu_names(const SlotRequest& request, const std::string& visible) {
  std::vector<std::string> names;
  std::istringstream words(visible);
  for (std::string name; std::getline(words, name, ',');) names.push_back(name);
  const int64_t needed = request.parallel * request.gpus_per_run;
  if (visible.empty()) {
    for (int64_t i = 0; i < needed; ++i) names.push_back(std::to_string(i));
  }
  if (static_cast<int64_t>(names.size()) >= needed) return names;
  throw std::invalid_argument(fmt::format(
      "gpus_per_run: {} for each of {} at one time need {}, found {} in CUDA_VISIBLE_DEVICES ({})",
      request.gpus_per_run, counted(request.parallel, "run"), needed, names.size(), visible));
}

int64_t cores_of_run(const SlotRequest& request, int64_t cores) {
  if (request.cores_per_run > 0) return request.cores_per_run;
  return std::max<int64_t>(1, cores / request.parallel);
}

}  // namespace

std::vector<RunSlot> make_slots(const SlotRequest& request, const std::vector<int>& cores,
                                const std::string& visible_gpus) {
  const auto count = static_cast<int64_t>(cores.size());
  const int64_t each = cores_of_run(request, count);
  if (each * request.parallel > count) {
    throw std::invalid_argument(fmt::format(
        "parallel: {} at one time with {} each need {}, found {}; lower parallel or "
        "cores_per_run",
        counted(request.parallel, "run"), counted(each, "core"), each * request.parallel, count));
  }
  std::vector<std::string> gpus;
  if (request.gpus_per_run > 0) gpus = gpu_names(request, visible_gpus);
  std::vector<RunSlot> slots;
  for (int64_t i = 0; i < request.parallel; ++i) {
    RunSlot slot;
    slot.cores.assign(cores.begin() + i * each, cores.begin() + (i + 1) * each);
    const auto first = gpus.begin() + i * request.gpus_per_run;
    if (!gpus.empty()) {
      slot.gpus = fmt::format("{}", fmt::join(first, first + request.gpus_per_run, ","));
    }
    slots.push_back(std::move(slot));
  }
  return slots;
}

}  // namespace phalanx
