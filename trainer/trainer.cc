#include "trainer/trainer.h"

#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "data/mixture/plan_report.h"
#include "parallel/agreement.h"
#include "trainer/checkpoint/checkpoint_writer.h"
#include "trainer/step_policy.h"

namespace phalanx {
namespace {

constexpr int64_t kBatchesAhead = 2;
constexpr std::chrono::seconds kProgressInterval{5};
constexpr double kMicroseconds = 1e6;

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

MicroBatchOptions micro_batch_options(const RunConfig& config, const RunContext& context) {
  return {config.data.document_mask, context.device};
}

Summation summation(const RunConfig& config) {
  return config.reproducible == Reproducible::kDpInvariant ? Summation::kExact
                                                           : Summation::kInOrder;
}

/// Over all sequence lengths, padding included.
int64_t tokens_given(const Cursor& cursor, const std::string& source) {
  int64_t tokens = 0;
  const auto streams = cursor.taken.find(source);
  if (streams == cursor.taken.end()) return tokens;
  for (const auto& [length, rows] : streams->second) tokens += length * rows;
  return tokens;
}

}  // namespace

Trainer::Trainer(const RunConfig& config, const RunContext& context, RunData data,
                 PlannedRun planned, TrainState state, const StartTensors& start,
                 TrainerOptions options)
    : config_(config),
      context_(context),
      options_(std::move(options)),
      data_(std::move(data)),
      plan_(planned.plan),
      state_(std::move(state)),
      stages_(make_stage_runs(config, *plan_, state_.stage_first_rows, context.device)),
      replica_(config, context, start),
      train_step_(replica_.model(), replica_.parameters(), replica_.grads(), replica_.optimizer(),
                  context, config.optimizer.clip_grad_norm, data_.source_names.size(),
                  micro_batch_options(config, context), config.parallel.cuda_graphs,
                  summation(config)),
      state_check_(replica_.parameters(), replica_.optimizer(), context,
                   config.numbers.check_interval),
      guard_(train_step_, state_check_, context, config.numbers),
      evaluator_(replica_.model(), data_, context,
                 {config.evaluation.max_rows, config.stages.front().micro_batch_size,
                  micro_batch_options(config, context), summation(config)}),
      prefetcher_(together(context.control,
                           [&] {
                             return BatchLoader(planned, data_.sources, context.mesh.dp_rank,
                                                context.mesh.dp_size);
                           }),
                  kBatchesAhead),
      trace_(options_.trace,
             options_.run_folder / "profile" / fmt::format("rank-{:04}.json", context.mesh.rank()),
             context.device.is_cuda()),
      last_checkpoint_(options_.resumed_from),
      checkpoint_step_(state_.step) {
  run_together(context.control, [&] { open_records(); });
}

void Trainer::open_records() {
  if (context_.mesh.rank() != 0) return;
  metrics_ = std::make_unique<Metrics>(options_.run_folder / "metrics.jsonl", data_.source_names);
  progress_ = std::make_unique<Progress>(options_.on_terminal, kProgressInterval,
                                         state_.tokens + tokens_from(*plan_, state_.step));
}

RunOutcome Trainer::run() {
  if (state_.step == 0) {
    validation_before_ = evaluate();
    for (const auto& [source, result] : validation_before_) {
      state_.start_bits_per_byte[source] = result.bits_per_byte;
    }
  }
  if (options_.save_first) save_start();
  bool roll_back = false;
  while (state_.step < plan_->end_step()) {
    Requests agreed;
    const int64_t tokens_before = state_.tokens;
    const Batch batch = next_batch(agreed);
    trace_.begin_step(state_.step + 1);
    StepRecord record = take_step(batch);
    advance(batch, record);
    trace_.end_step(state_.step);
    const bool at_edge = ends_phase();
    const bool stop = agreed.stop || state_.step == config_.stop_after_steps;
    if (at_edge || crosses(config_.evaluation.interval, tokens_before)) {
      record.validation = validation_ = evaluate();
    }
    report(record);
    roll_back = rolls_back(record.result,
                           {state_.step, skipped_in_a_row_, state_.roll_backs,
                            !last_checkpoint_.empty(), state_.step == plan_->end_step()},
                           config_.numbers);
    if (roll_back) break;
    if (stop || agreed.save || at_edge || crosses(config_.checkpoint.interval, tokens_before)) {
      save();
    }
    if (stop) break;
  }
  run_together(context_.control, [&] {
    trace_.finish();
    if (report_failure_) std::rethrow_exception(report_failure_);
  });
  if (roll_back) {
    RunOutcome back = outcome();
    back.roll_back = {last_checkpoint_, state_.step - checkpoint_step_};
    return back;
  }
  if (validated_step_ != state_.step) validation_ = evaluate();
  return outcome();
}

/// The batch, once all ranks have theirs; a rank without one ends them all.
Batch Trainer::next_batch(Requests& agreed) {
  Batch batch;
  Requests mine;
  std::exception_ptr failure = std::exchange(report_failure_, nullptr);
  try {
    batch = prefetcher_.next();
    if (options_.requests) mine = options_.requests();
  } catch (...) {
    failure = std::current_exception();
  }
  const bool save_timed = config_.checkpoint.interval_seconds > 0 &&
                          seconds_since(last_save_) >= config_.checkpoint.interval_seconds;
  mine.save |= save_timed && context_.mesh.rank() == 0;
  const double waited = prefetcher_.waited_seconds() - data_waited_seconds_;
  data_waited_seconds_ = prefetcher_.waited_seconds();
  at::Tensor flags = at::zeros({4}, at::kLong);
  int64_t* flag = flags.mutable_data_ptr<int64_t>();
  flag[0] = failure != nullptr;
  flag[1] = mine.stop;
  flag[2] = mine.save;
  flag[3] = std::llround(waited * kMicroseconds);
  context_.control.all_reduce(flags, ReduceOp::kMax)->wait();
  if (flag[0] != 0) {
    run_together(context_.control, [&] {
      if (failure) std::rethrow_exception(failure);
    });
  }
  agreed = {flag[1] != 0, flag[2] != 0};
  step_wait_seconds_ = double(flag[3]) / kMicroseconds;
  return batch;
}

StepRecord Trainer::take_step(const Batch& batch) {
  const Clock::time_point start = Clock::now();
  const StageRun& stage = stage_of(stages_, batch.step);
  const StepRange range = plan_->step_rows(batch.step);
  state_.stage_first_rows.try_emplace(stage.name, stage.first_row);
  StepRecord record;
  record.learning_rate = stage.schedule.rate(range.first_row - stage.first_row, range.num_rows);
  const auto rows_of = [&](int dp_rank) {
    return BatchLoader({plan_, state_.cursor}, data_.sources, dp_rank, context_.mesh.dp_size)
        .next();
  };
  record.result = guard_.run(
      batch, {stage.rope, stage.micro_batch_size, record.learning_rate, state_.num_updates + 1},
      batch.step + 1, state_.recent_steps, rows_of);
  record.seconds = seconds_since(start);
  return record;
}

void Trainer::advance(const Batch& batch, StepRecord& record) {
  record.phase = phase_name(*plan_, state_.cursor.row);
  record.step_tokens = batch.tokens_RT.numel() * context_.mesh.dp_size;
  state_.step = batch.step + 1;
  state_.tokens += record.step_tokens;
  state_.num_updates += record.result.updated;
  count_sources(batch, record);
  note_spike(batch, record);
  train_seconds_ += record.seconds;
  train_tokens_ += record.step_tokens;
  record.step = state_.step;
  record.num_steps = plan_->end_step();
  record.tokens = state_.tokens;
  record.attempt = state_.attempt;
  record.data_wait_seconds = step_wait_seconds_;
  wait_seconds_ += step_wait_seconds_;
  record.validation_before = std::exchange(validation_before_, {});
  skipped_in_a_row_ = record.result.updated ? 0 : skipped_in_a_row_ + 1;
}

/// The ledger after the step, with the rows that were passed over for a spike: the loader, which
/// runs ahead, does not know of them.
void Trainer::note_spike(const Batch& batch, const StepRecord& record) {
  const int64_t first_row = state_.cursor.row;
  state_.cursor = batch.cursor_after;
  if (record.result.review.suspicion == Suspicion::kSpike) {
    spike_rows_.emplace_back(first_row, state_.cursor.row);
  }
  for (const auto& [first, end] : spike_rows_) note_skipped(state_.cursor, first, end);
}

/// From the ledger before and after the step, so that metrics and checkpoints say the same.
void Trainer::count_sources(const Batch& batch, StepRecord& record) const {
  for (const std::string& source : data_.source_names) {
    const int64_t before = tokens_given(state_.cursor, source);
    record.source_total_tokens.push_back(tokens_given(batch.cursor_after, source));
    record.source_tokens.push_back(record.source_total_tokens.back() - before);
  }
}

/// Has the last step taken the last row of a phase?
bool Trainer::ends_phase() const {
  const StepRange range = plan_->step_rows(state_.step - 1);
  const int64_t end_row = range.first_row + range.num_rows;
  for (const PlanPhase& phase : plan_->phases) {
    if (range.first_row < phase.end_row && phase.end_row <= end_row) return true;
  }
  return false;
}

bool Trainer::crosses(const Duration& interval, int64_t tokens_before) const {
  if (interval.count == 0) return false;
  if (interval.unit == Duration::Unit::kSteps) return state_.step % interval.count == 0;
  return state_.tokens / interval.count > tokens_before / interval.count;
}

ValidationResults Trainer::evaluate() {
  validated_step_ = state_.step;
  const int64_t step = std::min(state_.step, plan_->end_step() - 1);
  return evaluator_.evaluate(stage_of(stages_, step).evaluation_rope);
}

/// Skipped steps have begun stages too, as far as a later change of curriculum is concerned.
void Trainer::save_start() {
  for (const StageRun& stage : stages_) {
    if (stage.first_row >= state_.cursor.row) continue;
    state_.stage_first_rows.try_emplace(stage.name, stage.first_row);
  }
  save();
}

void Trainer::save() {
  const CheckpointContents contents{
      replica_.parameters(), replica_.optimizer().shares(), config_.model.shape, state_.step,
      state_.tokens,         to_json(state_).dump(1),       options_.config_yaml};
  const Retention retention{config_.checkpoint.keep_last, config_.checkpoint.keep_every,
                            options_.resumed_from};
  last_checkpoint_ = save_checkpoint({options_.run_folder / "checkpoints", retention}, contents,
                                     context_.mesh, context_.control);
  checkpoint_step_ = state_.step;
  last_save_ = Clock::now();
  if (progress_) progress_->note(fmt::format("saved {}", last_checkpoint_.string()));
}

void Trainer::report(const StepRecord& record) {
  try {
    if (metrics_) metrics_->write(record);
  } catch (...) {
    report_failure_ = std::current_exception();  // agreed upon before the next step
  }
  if (progress_) {
    progress_->show(record);
    for (const auto& [source, result] : record.validation) {
      progress_->note(fmt::format("step {}  validation {}  loss {:.4f}  bits per byte {:.4f}",
                                  record.step, source, result.loss, result.bits_per_byte));
    }
    if (!record.result.review.note.empty()) progress_->note(record.result.review.note);
  }
}

RunOutcome Trainer::outcome() const {
  RunOutcome outcome{state_.step < plan_->end_step(), last_checkpoint_, state_, plan_, validation_};
  if (train_seconds_ > 0) outcome.tokens_per_second = double(train_tokens_) / train_seconds_;
  outcome.data_wait_share = data_wait_share(wait_seconds_, train_seconds_);
  return outcome;
}

}  // namespace phalanx
