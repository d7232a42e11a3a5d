#pragma once
// The stages of a run with what each step of them needs: where they begin and end, the learning
// rate, the rotation table. Local, immutable.
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "data/mixture/mixture_plan.h"
#include "model/kernels/rope.h"
#include "trainer/lr_schedule.h"
#include "trainer/run_config.h"

namespace phalanx {

struct StageRun {
  std::string name;
  int64_t first_row = 0;  // where the stage began, which may lie before the plan
  int64_t end_step = 0;
  int64_t micro_batch_size = 1;
  LrSchedule schedule;
  RopeTable rope;             // for training rows
  RopeTable evaluation_rope;  // their length may decide otherwise between rope factors
};

/// Steps of the stage by itself, as its batch sizes and phases make them.
std::vector<StageSteps> steps_of(const StageConfig& stage);

/// The plan may start inside a stage (a curriculum changed on resume); the stage's learning rate
/// still counts from where it began, which `stage_first_rows` (TrainState) remembers. Steps before
/// the plan count as having had the sizes that the configuration gives. Of a plan without steps
/// (nothing is left to train) there is the last stage, for evaluation.
std::vector<StageRun> make_stage_runs(const RunConfig& config, const MixturePlan& plan,
                                      const std::map<std::string, int64_t>& stage_first_rows,
                                      at::Device device);

/// Of the steps from `step` to the end of the plan; padding included.
int64_t tokens_from(const MixturePlan& plan, int64_t step);

const StageRun& stage_of(const std::vector<StageRun>& stages, int64_t step);

}  // namespace phalanx
