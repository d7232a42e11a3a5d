#include "trainer/checkpoint/checkpoint_saver.h"

#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <chrono>
#include <system_error>
#include <utility>

#include "data/folder_contents.h"
#include "parallel/agreement.h"

namespace phalanx {
namespace {

// Between two questions whether all have ended. Ranks that are done sleep meanwhile: where there
// are more ranks than cores they would take the time of those that write.
constexpr std::chrono::milliseconds kPollInterval{2};

SaveFlags agree(SaveFlags mine, Communicator& control) {
  at::Tensor flags = at::zeros({2}, at::kLong);
  int64_t* flag = flags.mutable_data_ptr<int64_t>();
  flag[0] = mine.busy;
  flag[1] = mine.failed;
  control.all_reduce(flags, ReduceOp::kMax)->wait();
  return {flag[0] != 0, flag[1] != 0};
}

}  // namespace

CheckpointSaver::CheckpointSaver(CheckpointPlace place, const Mesh& mesh, Communicator& control)
    : place_(std::move(place)), mesh_(mesh), control_(control) {}

void CheckpointSaver::run(Phase phase, std::function<void()> work) {
  phase_ = phase;
  task_.start(std::move(work), gently_);
}

void CheckpointSaver::start(CheckpointContents contents, bool gently) {
  contents_.emplace(std::move(contents));
  gently_ = gently;
  replaces_ = false;
  result_ = {checkpoint_path(place_.folder, contents_->step), contents_->step, "", ExitCode::kDone};
  run(Phase::kWriting, [this] {
    part_ = manifest_text(write_rank_part(staging_folder(result_.path), *contents_, mesh_));
  });
}

SaveFlags CheckpointSaver::flags() const {
  const bool busy = running() && task_.running();
  return {busy, running() && !busy && task_.failed()};
}

std::optional<SaveResult> CheckpointSaver::advance(SaveFlags agreed) {
  if (!running() || agreed.busy) return std::nullopt;
  // What cannot be removed stays as a .tmp folder; the error at hand matters more.
  if (phase_ == Phase::kCleaning) return ended();
  if (agreed.failed) {
    begin_cleaning();
    return std::nullopt;
  }
  if (phase_ == Phase::kCommitting) return ended();
  begin_commit();
  return std::nullopt;
}

SaveResult CheckpointSaver::finish() {
  while (true) {
    task_.wait_for(kPollInterval);
    if (std::optional<SaveResult> result = advance(agree(flags(), control_))) return *result;
  }
}

void CheckpointSaver::begin_commit() {
  std::vector<std::string> parts = all_gather_strings(control_, std::exchange(part_, ""));
  const bool first = control_.rank() == 0;
  run(Phase::kCommitting, [this, first, parts = std::move(parts)] {
    if (first) commit(parts);
  });
}

void CheckpointSaver::commit(const std::vector<std::string>& parts) {
  Manifest manifest = parse_checkpoint_manifest(parts.front(), "part of rank 0");
  for (size_t rank = 1; rank < parts.size(); ++rank) {
    merge_part(manifest,
               parse_checkpoint_manifest(parts[rank], fmt::format("part of rank {}", rank)));
  }
  seal_checkpoint(result_.path, std::move(manifest), *contents_);
  replaces_ = std::filesystem::exists(result_.path);
  commit_checkpoint(result_.path);
  settle_checkpoint(place_, result_.step);
  place_.order = SaveOrder::kLater;
}

// All ranks have stopped writing.
void CheckpointSaver::begin_cleaning() {
  try {
    run_together(control_, [&] { task_.rethrow(); });
  } catch (const AgreedError& error) {
    result_.error = error.what();
    result_.code = error.code();
  }
  // A commit that failed as it replaced a checkpoint may have left that one in the staging folder,
  // and nobody knows which of the two a power cut would leave under the name.
  const bool removes = control_.rank() == 0 && !replaces_;
  run(Phase::kCleaning, [this, removes] {
    if (removes) remove_path(staging_folder(result_.path));
  });
}

SaveResult CheckpointSaver::ended() {
  phase_ = Phase::kIdle;
  contents_.reset();
  return std::move(result_);
}

std::filesystem::path save_checkpoint(const CheckpointPlace& place,
                                      const CheckpointContents& contents, const Mesh& mesh,
                                      Communicator& control) {
  CheckpointSaver saver(place, mesh, control);
  saver.start(contents, /*gently=*/false);
  const SaveResult result = saver.finish();
  if (!result.error.empty()) throw AgreedError(result.code, result.error);
  return result.path;
}

}  // namespace phalanx
