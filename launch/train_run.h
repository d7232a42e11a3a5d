#pragma once
// A training run from its configuration to its outcome: folder, resume, data, plan, trainer.
// Collective over the session's ranks: every function, every rank. What may fail on one rank alone
// runs inside together(), so all ranks end with one message.
#include <chrono>
#include <string>
#include <vector>

#include "configs/read_config.h"
#include "launch/hang_guard.h"
#include "launch/run_end.h"
#include "launch/stop_signals.h"
#include "launch/train_output.h"
#include "parallel/session.h"
#include "trainer/trainer.h"

namespace phalanx {

struct TrainArguments {
  ConfigRequest request;
  std::string resume = "none";  // none, auto or the path of a checkpoint
  int64_t skip_steps = 0;       // of a resumed run, passed over before its first step
  bool dry_run = false;
  int64_t planned_ranks = 0;  // of a dry run that is meant for another machine; 0: the session's
  std::string launcher = "auto";    // whose variables count
  bool ignore_memory_plan = false;  // start even where the plan needs more than there is
  std::string profile;              // as given
  TraceSteps trace;                 // the steps it means
  TrainOutput output;
  std::chrono::steady_clock::time_point started = std::chrono::steady_clock::now();
};

/// What a run needs of the process it is in.
struct TrainProcess {
  Session& session;
  StopSignals& signals;
  HangGuard& hang_guard;
  RunEndNote& end_note;  // opened once the run's folder is taken
};

/// Trains; the first rank prints to stderr on the way and the report to stdout, and notes the end.
/// Returns whether the run was stopped before its end.
bool train_run(const TrainArguments& arguments, const ResolvedConfig& config,
               const TrainProcess& process);

}  // namespace phalanx
