#include "launch/run_start.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "configs/field_list.h"
#include "data/mixture/row_schedule.h"
#include "launch/model_place.h"
#include "parallel/agreement.h"
#include "trainer/attempt_start.h"
#include "trainer/checkpoint/checkpoint_folder.h"
#include "trainer/checkpoint/manifest_model.h"
#include "trainer/checkpoint/place_text.h"
#include "trainer/checkpoint/strict_json.h"

namespace phalanx {
namespace {

namespace fs = std::filesystem;

TrainState state_of(CheckpointReader& checkpoint) {
  return train_state_from_json(
      parse_strict_json(checkpoint.state_json(), checkpoint.path().string() + "/state.json"));
}

/// What becomes of tensors that the checkpoint keeps in another type than the run.
std::string conversion_notes(CheckpointReader& checkpoint, const RunConfig& config, bool moments) {
  std::string notes;
  const auto note = [&](const ShareKind& kind, const char* what, const char* field, Precision now) {
    const Precision before =
        checkpoint.stored_dtype(kind) == Dtype::kBF16 ? Precision::kBf16 : Precision::kFp32;
    if (before == now) return;
    notes += now == Precision::kBf16
                 ? fmt::format(
                       "note: the checkpoint's {} are fp32; {}: bf16 rounds them to "
                       "nearest, once\n",
                       what, field)
                 : fmt::format(
                       "note: the checkpoint's {} are bf16; {}: fp32 takes them as they "
                       "are\n",
                       what, field);
  };
  note(kShareKinds[0], "masters", "optimizer.master", config.optimizer.master);
  if (moments) note(kShareKinds[1], "moments", "optimizer.state", config.optimizer.state);
  return notes;
}

RunStart open_resumed(const fs::path& path, const ResolvedConfig& config) {
  RunStart start;
  require_checkpoint(path, "--resume: " + path.string());
  start.resumed_from = path;
  start.checkpoint = std::make_unique<CheckpointReader>(path);
  start.state = state_of(*start.checkpoint);
  std::string differences;
  for (const std::string& line : compare_for_resume(start.checkpoint->config_yaml(), config)) {
    differences += "\n  " + line;
  }
  if (!differences.empty()) {
    throw std::invalid_argument(
        fmt::format("checkpoint {}: the configuration changes what a resume must keep:{}",
                    path.string(), differences));
  }
  start.notes = conversion_notes(*start.checkpoint, config.run, /*moments=*/true);
  return start;
}

RunStart open_fork(const RunConfig& config) {
  const ForkConfig& fork = config.fork;
  RunStart start;
  require_checkpoint(fork.from, "fork.from: " + fork.from);
  auto checkpoint = std::make_unique<CheckpointReader>(fork.from);
  TrainState parent = state_of(*checkpoint);
  start.notes = fmt::format("fork: {} (step {}) gives", fork.from, parent.step);
  if (fork.weights) {
    check_same_model(config.model.shape, checkpoint->manifest().model, fork.from,
                     "fork.from: checkpoint " + fork.from);
    start.checkpoint = std::move(checkpoint);
    start.moments = fork.optimizer;
    start.notes += " weights";
  }
  if (fork.optimizer) {
    start.state.num_updates = parent.num_updates;
    start.notes += " optimizer";
  }
  if (fork.ledger) {
    start.ledger = std::move(parent.cursor);
    start.notes += " ledger";
  }
  start.notes += "\n";
  if (start.checkpoint) {
    start.notes += conversion_notes(*start.checkpoint, config, start.moments);
  }
  return start;
}

/// `path` is where the run goes on; `checkpoints` its own.
std::string resume_notes(const fs::path& path, const fs::path& checkpoints) {
  std::string notes = fmt::format("resume: {}\n", path.string());
  const std::string name = path.filename().string();
  std::error_code unknown;
  const bool own = fs::equivalent(path.parent_path(), checkpoints, unknown);
  if (!own || !name.starts_with("step-")) return notes;
  std::vector<std::string> later;
  for (const CheckpointEntry& entry : list_checkpoints(checkpoints)) {
    if (entry.path.filename() > name) later.push_back(entry.path.filename().string());
  }
  if (later.empty()) return notes;
  return notes + fmt::format(
                     "note: {} belong{} to a branch that is left: the next save renames {} "
                     "abandoned-NUMBER\n",
                     fmt::join(later, ", "), later.size() == 1 ? "s" : "",
                     later.size() == 1 ? "it" : "them");
}

void skip_steps(int64_t num_steps, PlannedRun& run, RunStart& start) {
  if (start.resumed_from.empty()) {
    throw std::invalid_argument(
        "--skip-steps: expected a checkpoint to go on from (--resume), found a new run");
  }
  TrainState& state = start.state;
  const int64_t left = run.plan->end_step() - state.step;
  if (num_steps < 1 || num_steps >= left) {
    throw std::invalid_argument(fmt::format(
        "--skip-steps: expected at least 1 and fewer than the {} steps that are left, got {}", left,
        num_steps));
  }
  RowSchedule schedule(run.plan);
  const Cursor before = run.cursor;
  run.cursor = phalanx::skip_steps(schedule, before, num_steps);
  int64_t tokens = 0;
  for (int64_t step = state.step; step < run.cursor.step; ++step) {
    const StepRange range = run.plan->step_rows(step);
    tokens += range.num_rows *
              run.plan->curriculum.stages[static_cast<size_t>(range.stage)].sequence_length;
  }
  start.notes +=
      fmt::format("skipped: steps {}-{}, rows {}-{}, {} tokens count as taken\n", state.step + 1,
                  run.cursor.step, before.row, run.cursor.row - 1, tokens);
  state.step = run.cursor.step;
  state.tokens += tokens;
  state.cursor = run.cursor;
}

}  // namespace

ChosenCheckpoint choose_checkpoint(const std::string& resume, const fs::path& run_folder,
                                   Session& session) {
  const fs::path checkpoints = run_folder / "checkpoints";
  const auto begin_at = [&](const fs::path& path) -> ChosenCheckpoint {
    return {path, together(session.control(), [&] {
              return session.rank() == 0 ? resume_notes(path, checkpoints) : std::string();
            })};
  };
  if (resume != "none" && resume != "auto") return begin_at(resume);
  const FoundCheckpoint found = find_checkpoint(checkpoints, session.control());
  if (session.rank() == 0) {
    for (const std::string& note : found.notes)
      std::fprintf(stderr, "passed over: %s\n", note.c_str());
  }
  if (!found.path && !found.notes.empty()) {
    throw AgreedError(ExitCode::kBadInput,
                      fmt::format("{}: holds checkpoints, but none is valid (see above); move the "
                                  "folder away to start anew",
                                  checkpoints.string()));
  }
  if (found.path && resume == "none") {
    throw AgreedError(ExitCode::kBadInput,
                      fmt::format("run.name: {} holds checkpoints of an earlier run; expected "
                                  "--resume auto, or another run.name",
                                  run_folder.string()));
  }
  if (found.path) return begin_at(*found.path);
  if (resume == "none") return {};
  return {{}, fmt::format("resume: no checkpoint in {}: a new run\n", checkpoints.string())};
}

std::string first_weights_notes(const RunConfig& config) {
  const std::string& folder = config.model.init_from;
  if (folder.empty()) return "";
  const HfConfig found = open_model(folder, "model.init_from: " + folder).config;
  check_same_model(config.model.shape, found.shape, folder, "model.init_from: " + folder);
  const StageConfig& first = config.stages.front();
  const std::string notes = fmt::format("init_from: {} gives weights\n", folder);
  if (found.rope_theta == first.rope_theta) return notes;
  return notes + fmt::format("note: {} was trained with rope_theta {:g}, stage {} uses {:g}\n",
                             folder, found.rope_theta, first.name, first.rope_theta);
}

RunStart open_run_start(const fs::path& checkpoint, const ResolvedConfig& config) {
  if (!checkpoint.empty()) return open_resumed(checkpoint, config);
  return config.run.fork.from.empty() ? RunStart{} : open_fork(config.run);
}

PlannedRun plan_run(const RunConfig& config, const RunData& data, int64_t num_skipped,
                    RunStart& start) {
  PlannedRun run;
  if (start.resumed_from.empty()) {
    run = begin_run(data.curriculum, data.infos, start.ledger ? &*start.ledger : nullptr);
  } else {
    run = resume_run(
        data.curriculum, data.infos, start.state.cursor,
        config.curriculum_from_resume ? CurriculumFrom::kResume : CurriculumFrom::kStart);
  }
  start.state.past_configs = past_configs_for(
      start.state, start.resumed_from.empty() ? std::string() : start.checkpoint->config_yaml(),
      run.cursor.segments.size());
  start.state.cursor = run.cursor;
  if (num_skipped != 0) skip_steps(num_skipped, run, start);
  TrainState& state = start.state;
  state.masked_documents =
      with_lists(std::move(state.masked_documents), state.step, data.mask_lists);
  return run;
}

}  // namespace phalanx
