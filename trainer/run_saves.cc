#include "trainer/run_saves.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "parallel/agreement.h"

namespace phalanx {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// A save that the run waits for can read the shares themselves, where they are on the host.
std::optional<ShareSnapshot> make_snapshot(bool asynchronous,
                                           const std::vector<BucketShare>& shares) {
  if (!asynchronous && on_host(shares)) return std::nullopt;
  return ShareSnapshot(shares);
}

CheckpointPlace place_of(const SavedRun& run, const CheckpointConfig& config) {
  return {run.folder / "checkpoints",
          {config.keep_last, config.keep_every, run.resumed_from},
          SaveOrder::kFirst};
}

}  // namespace

RunSaves::RunSaves(const RunConfig& config, const RunContext& context,
                   const ParameterSet& parameters, const std::vector<BucketShare>& shares,
                   const SavedRun& run, std::function<void(const std::string&)> note)
    : config_(config),
      parameters_(parameters),
      shares_(shares),
      config_yaml_(run.config_yaml),
      folder_(run.folder / "checkpoints"),
      note_(std::move(note)),
      snapshot_(together(context.control,
                         [&] { return make_snapshot(config.checkpoint.asynchronous, shares); })),
      saver_(place_of(run, config.checkpoint), context.mesh, context.control),
      newest_(run.resumed_from),
      newest_step_(run.resumed_step) {}

void RunSaves::begin(const TrainState& state) {
  if (!running()) return begin_after_running(state);
  ++counts_.skipped;
  note_(
      fmt::format("step {}: not saved, since the save before it is still being written ({} so "
                  "far in this attempt)",
                  state.step, counts_.skipped));
}

void RunSaves::begin_after_running(const TrainState& state) {
  finish();
  refuse_many_failures();
  start(state, config_.checkpoint.asynchronous);
  if (!config_.checkpoint.asynchronous) finish();
  refuse_many_failures();
}

void RunSaves::save_and_wait(const TrainState& state) {
  finish();
  start(state, /*gently=*/false);
  const SaveResult result = wait();
  if (!result.error.empty()) throw AgreedError(result.code, result.error);
  count(result);
}

bool RunSaves::has(int64_t step) const {
  // By name, on which all ranks agree; a folder with two names is saved to once more.
  const auto whole = [](const std::filesystem::path& path) {
    return std::filesystem::absolute(path).lexically_normal();
  };
  return newest_step_ == step && !newest_.empty() && whole(newest_.parent_path()) == whole(folder_);
}

void RunSaves::start(const TrainState& state, bool gently) {
  begin_ = Clock::now();
  gently_ = gently;
  const bool copies = snapshot_ && (gently || !on_host(shares_));
  if (copies) snapshot_->take(shares_);
  saver_.start({parameters_, copies ? snapshot_->shares() : shares_, config_.model.shape,
                state.step, state.tokens, to_json(state).dump(1), config_yaml_},
               gently);
  counts_.stall_seconds += seconds_since(begin_);
}

SaveResult RunSaves::wait() {
  const Clock::time_point begin = Clock::now();
  const SaveResult result = saver_.finish();
  counts_.stall_seconds += seconds_since(begin);
  return result;
}

void RunSaves::finish() {
  if (running()) count(wait());
}

void RunSaves::advance(SaveFlags agreed) {
  if (const std::optional<SaveResult> result = saver_.advance(agreed)) count(*result);
  refuse_many_failures();
}

/// One that is written behind the training gives way to it, and ends at the edge of a step: it says
/// little of one that is waited for, but more than nothing.
double RunSaves::expected_seconds() const {
  if (longest_waited_ > 0) return longest_waited_;
  return std::max(longest_behind_, running() ? seconds_since(begin_) : 0.0);
}

void RunSaves::count(const SaveResult& result) {
  double& longest = gently_ ? longest_behind_ : longest_waited_;
  longest = std::max(longest, seconds_since(begin_));
  if (result.error.empty()) {
    ++counts_.saved;
    failed_in_a_row_ = 0;
    newest_ = result.path;
    newest_step_ = result.step;
    return note_(fmt::format("saved {}", result.path.string()));
  }
  ++counts_.failed;
  ++failed_in_a_row_;
  last_failure_ = result;
  if (failed_in_a_row_ >= kMaxFailedSavesInARow) return;  // what ends the run says it
  note_(
      fmt::format("step {}: save failed: {}; training goes on, and the next save is tried as usual "
                  "(failure {} of {} in a row that end the run)",
                  result.step, result.error, failed_in_a_row_, kMaxFailedSavesInARow));
}

void RunSaves::refuse_many_failures() const {
  if (failed_in_a_row_ < kMaxFailedSavesInARow) return;
  throw AgreedError(last_failure_.code,
                    fmt::format("{} saves in a row failed, the last one, of step {}, with: {}",
                                failed_in_a_row_, last_failure_.step, last_failure_.error));
}

}  // namespace phalanx
