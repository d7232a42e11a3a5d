#include "trainer/trainer.h"

#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "data/mixture/plan_report.h"
#include "parallel/agreement.h"

namespace phalanx {
namespace {

constexpr int64_t kBatchesAhead = 2;
/// A single bad batch is passed over; a run that cannot recover by itself ends.
constexpr int64_t kMaxSkippedInARow = 5;
constexpr std::chrono::seconds kProgressInterval{5};
constexpr double kMicroseconds = 1e6;

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

MicroBatchOptions micro_batch_options(const RunConfig& config, const RunContext& context) {
  return {config.data.document_mask, context.device};
}

/// Over all sequence lengths, padding included.
int64_t tokens_given(const Cursor& cursor, const std::string& source) {
  int64_t tokens = 0;
  const auto streams = cursor.taken.find(source);
  if (streams == cursor.taken.end()) return tokens;
  for (const auto& [length, rows] : streams->second) tokens += length * rows;
  return tokens;
}

int64_t total_tokens(const MixturePlan& plan, const TrainState& state) {
  int64_t tokens = state.tokens;
  for (int64_t step = state.step; step < plan.end_step();) {
    const StepRange range = plan.step_rows(step);
    for (const StepSpan& span : plan.steps) {
      const int64_t end = span.first_step + (span.end_row - span.first_row) / span.rows_per_step;
      if (step < span.first_step || step >= end) continue;
      tokens += (end - step) * range.num_rows *
                plan.curriculum.stages[static_cast<size_t>(span.stage)].sequence_length;
      step = end;
      break;
    }
  }
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
                  micro_batch_options(config, context), config.parallel.cuda_graphs),
      evaluator_(replica_.model(), data_, context,
                 {config.evaluation.max_rows, config.stages.front().micro_batch_size,
                  micro_batch_options(config, context)}),
      prefetcher_(together(context.control,
                           [&] {
                             return BatchLoader(planned, data_.sources, context.mesh.dp_rank,
                                                context.mesh.dp_size);
                           }),
                  kBatchesAhead),
      trace_(options_.trace,
             options_.run_folder / "profile" / fmt::format("rank-{:04}.json", context.mesh.rank()),
             context.device.is_cuda()),
      saves_(config, context, replica_.parameters(), replica_.optimizer().shares(),
             {options_.run_folder, options_.resumed_from, options_.config_yaml},
             [this](const std::string& text) {
               if (progress_) progress_->note(text);
             }) {
  run_together(context.control, [&] { open_records(); });
}

void Trainer::open_records() {
  if (context_.mesh.rank() != 0) return;
  metrics_ = std::make_unique<Metrics>(options_.run_folder / "metrics.jsonl", data_.source_names);
  progress_ = std::make_unique<Progress>(options_.on_terminal, kProgressInterval,
                                         total_tokens(*plan_, state_));
}

RunOutcome Trainer::run() {
  if (state_.step == 0) {
    validation_before_ = evaluate();
    for (const auto& [source, result] : validation_before_) {
      state_.start_bits_per_byte[source] = result.bits_per_byte;
    }
  }
  try {
    train();
  } catch (const ExitError&) {  // on all ranks, at the same step
    saves_.finish();
    throw;
  }
  run_together(context_.control, [&] {
    trace_.finish();
    if (report_failure_) std::rethrow_exception(report_failure_);
  });
  if (validated_step_ != state_.step) validation_ = evaluate();
  return outcome();
}

void Trainer::train() {
  if (options_.save_first) save_start();
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
    if (stop || agreed.save || at_edge || crosses(config_.checkpoint.interval, tokens_before)) {
      save(stop || state_.step == plan_->end_step(), at_edge);
    }
    if (stop) break;
  }
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
  const SaveFlags saving = saves_.flags();
  at::Tensor flags = at::zeros({6}, at::kLong);
  int64_t* flag = flags.mutable_data_ptr<int64_t>();
  flag[0] = failure != nullptr;
  flag[1] = mine.stop;
  flag[2] = mine.save;
  flag[3] = std::llround(waited * kMicroseconds);
  flag[4] = saving.busy;
  flag[5] = saving.failed;
  context_.control.all_reduce(flags, ReduceOp::kMax)->wait();
  if (flag[0] != 0) {
    run_together(context_.control, [&] {
      if (failure) std::rethrow_exception(failure);
    });
  }
  saves_.advance({flag[4] != 0, flag[5] != 0});
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
  record.result = train_step_.run(
      batch, {stage.rope, stage.micro_batch_size, record.learning_rate, state_.num_updates + 1});
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
  state_.cursor = batch.cursor_after;
  train_seconds_ += record.seconds;
  train_tokens_ += record.step_tokens;
  record.step = state_.step;
  record.num_steps = plan_->end_step();
  record.tokens = state_.tokens;
  record.attempt = state_.attempt;
  record.saving = saves_.running();
  record.saves = saves_.counts();
  record.data_wait_seconds = step_wait_seconds_;
  wait_seconds_ += step_wait_seconds_;
  record.validation_before = std::exchange(validation_before_, {});
  skipped_in_a_row_ = record.result.updated ? 0 : skipped_in_a_row_ + 1;
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
  saves_.save_and_wait(state_);  // so that a kill after the first step does not skip them again
}

/// What people and later starts count on, the last state and the edges of phases, is saved whatever
/// is under way; else a save that is due meanwhile is skipped.
void Trainer::save(bool last, bool at_edge) {
  last_save_ = Clock::now();
  if (last) return saves_.save_and_wait(state_);
  at_edge ? saves_.begin_after_running(state_) : saves_.begin(state_);
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
    if (!record.result.updated) {
      progress_->note(
          fmt::format("step {}: loss {} or gradient norm {} is not finite: the update was skipped",
                      record.step, record.result.loss, record.result.grad_norm));
    }
  }
  if (skipped_in_a_row_ >= kMaxSkippedInARow) {
    throw NonFiniteError(fmt::format(
        "loss or gradient norm was not finite in {} steps in a row, the last one step {}",
        skipped_in_a_row_, record.step));
  }
}

RunOutcome Trainer::outcome() const {
  RunOutcome outcome{state_.step < plan_->end_step(),
                     saves_.newest(),
                     state_,
                     plan_,
                     validation_,
                     saves_.counts()};
  if (train_seconds_ > 0) outcome.tokens_per_second = double(train_tokens_) / train_seconds_;
  outcome.data_wait_share = data_wait_share(wait_seconds_, train_seconds_);
  return outcome;
}

}  // namespace phalanx
