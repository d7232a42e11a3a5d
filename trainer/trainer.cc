#include "trainer/trainer.h"

#include <fmt/format.h>

#include "data/mixture/plan_report.h"
#include "parallel/agreement.h"
#include "parallel/flight_recorder.h"
#include "trainer/metrics/memory_use.h"
#include "trainer/step_marks.h"
#include "trainer/step_policy.h"

namespace phalanx {
namespace {

constexpr double kNanosecond = 1e-9;

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

Summation summation(const RunConfig& config) {
  return config.reproducible == Reproducible::kDpInvariant ? Summation::kExact
                                                           : Summation::kInOrder;
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
                  {config.data.document_mask, context.device}, config.parallel.cuda_graphs,
                  summation(config)),
      state_check_(replica_.parameters(), replica_.optimizer(), context,
                   config.numbers.check_interval),
      guard_(train_step_, state_check_, context, config.numbers,
             same_again(context.device, config.reproducible)),
      evaluator_(replica_.model(), data_, context,
                 {config.evaluation.max_rows,
                  config.stages.front().micro_batch_size,
                  {config.data.document_mask, context.device},
                  summation(config)}),
      prefetcher_(together(context.control,
                           [&] {
                             return BatchLoader(planned, data_.sources, context.mesh.dp_rank,
                                                context.mesh.dp_size);
                           }),
                  kBatchesAhead),
      trace_(options_.trace,
             options_.run_folder / "profile" / fmt::format("rank-{:04}.json", context.mesh.rank()),
             context.device.is_cuda()),
      records_(together(context.control,
                        [&] {
                          return RunRecords(context.mesh.rank() == 0, options_.records,
                                            plan_->curriculum.sources);
                        })),
      saves_(config, context, replica_.parameters(), replica_.optimizer().shares(),
             {options_.run_folder, options_.resumed_from, state_.step, options_.config_yaml},
             [this](const std::string& text) { records_.note(text); }),
      work_times_(context.device.is_cpu() && context.flight && context.mesh.world_size() > 1
                      ? config.watchdog.straggler_interval_seconds
                      : 0.0),
      requests_(options_.requests, config, context.mesh.rank(), options_.started) {}

RunOutcome Trainer::run() {
  if (state_.step == 0) {
    validation_before_ = evaluate();
    for (const auto& [source, result] : validation_before_) {
      state_.start_bits_per_byte[source] = result.bits_per_byte;
    }
  }
  std::optional<RollBack> roll_back;
  try {
    roll_back = train();
  } catch (const ExitError&) {  // on all ranks, at the same step
    const FlightPhase mark(context_.flight, RunPhase::kSave);
    saves_.finish();
    throw;
  }
  run_together(context_.control, [&] {
    trace_.finish();
    if (const std::exception_ptr failure = records_.take_failure()) std::rethrow_exception(failure);
  });
  RunOutcome result = outcome();
  if (roll_back) {
    result.roll_back = roll_back;
  } else if (validated_step_ != state_.step) {
    result.validation = evaluate();
  }
  return result;
}

/// To the end of the run, a request to stop, or a spike that the run goes back for.
std::optional<RollBack> Trainer::train() {
  if (options_.save_first) save_start();
  if (!options_.stop_first.empty()) return std::nullopt;
  if (context_.flight) context_.flight->enter(RunPhase::kTrain);
  while (state_.step < plan_->end_step()) {
    const Clock::time_point turn = Clock::now();
    if (context_.flight) context_.flight->begin_step(state_.step + 1);
    StepFlags agreed;
    const int64_t tokens_before = state_.tokens;
    const std::optional<Batch> batch = next_batch(agreed);
    if (!batch) break;
    trace_.begin_step(state_.step + 1);
    StepRecord record = take_step(*batch);
    advance(*batch, agreed, record);
    trace_.end_step(state_.step);
    if (context_.flight) context_.flight->end_step();
    const bool at_edge = ends_phase(*plan_, state_.step);
    const bool stop = agreed.stop || state_.step == config_.stop_after_steps;
    if (stop && !agreed.stop) stop_reason_ = "run.stop_after_steps";
    if (at_edge || crosses(config_.evaluation.interval, state_, tokens_before)) {
      record.validation = validation_ = evaluate();
    }
    if (agreed.compare) record.work = work_times_.compare(context_.control);
    requests_.note_turn(seconds_since(turn));
    if (std::optional<RollBack> back = conclude(record, stop)) return back;
    if (stop || agreed.save || at_edge ||
        crosses(config_.checkpoint.interval, state_, tokens_before)) {
      save(stop || state_.step == plan_->end_step(), at_edge);
    }
    if (stop) break;
  }
  save_if_new();  // a stop while data were awaited
  if (context_.flight) context_.flight->enter(RunPhase::kEnd);
  return std::nullopt;
}

/// Records the step with what follows from it: the run goes on (nothing), goes back, or ends. A
/// save under way is the one to go back to.
std::optional<RollBack> Trainer::conclude(StepRecord& record, bool stop) {
  if (record.result.review.suspicion == Suspicion::kSpike &&
      config_.numbers.spikes.policy == SpikePolicy::kRollBack) {
    const FlightPhase mark(context_.flight, RunPhase::kSave);
    saves_.finish();
  }
  const AfterStep next = after_step(record.result,
                                    {state_.step, skipped_in_a_row_, state_.roll_backs,
                                     !saves_.newest().empty(), state_.step == plan_->end_step()},
                                    config_.numbers);
  if (next.move == NextMove::kRollBack) record.rolled_back_to = saves_.newest_step();
  records_.add(record);
  if (next.move == NextMove::kEnd) throw NonFiniteError(next.reason);
  if (next.move == NextMove::kGoOn) return std::nullopt;
  if (context_.flight) context_.flight->enter(RunPhase::kStart);  // all is built anew
  return RollBack{saves_.newest(), state_.step, stop ? stop_reason_ : ""};
}

/// Once all ranks have theirs; nothing: a stop while one has none. One that fails ends them all.
std::optional<Batch> Trainer::next_batch(StepFlags& agreed) {
  // A store may take longer than a step does, and tells by itself what is wrong.
  const FlightPhase mark(data_.fetches ? context_.flight : nullptr, RunPhase::kStart);
  AwaitedBatch mine =
      await_batch(prefetcher_, [this](DataWait wait) { return requests_.ask(wait); });
  const std::exception_ptr failure = mine.failure ? mine.failure : records_.take_failure();
  StepFlags flags;
  flags.failed = failure != nullptr;
  flags.no_batch = !mine.batch;
  flags.stop = mine.asked.stop;
  flags.save = mine.asked.save;
  flags.compare = context_.mesh.rank() == 0 && work_times_.is_due();
  flags.data_wait_seconds = prefetcher_.waited_seconds() - data_waited_seconds_;
  data_waited_seconds_ = prefetcher_.waited_seconds();
  flags.saving = saves_.flags().busy;
  flags.save_failed = saves_.flags().failed;
  flags.peak_memory_bytes = peak_memory_bytes(context_.device);
  agreed = agree_on_step(flags, context_.control);
  if (agreed.stop && !mine.asked.stop) mine.asked = requests_.ask(DataWait::kWaiting);
  if (mine.asked.stop) stop_reason_ = mine.asked.stop_reason;
  if (agreed.failed) {
    if (agreed.no_batch) save_if_possible();
    run_together(context_.control, [&] {
      if (failure) std::rethrow_exception(failure);
    });
  }
  saves_.advance({agreed.saving, agreed.save_failed});
  requests_.note_save(saves_.expected_seconds());
  return agreed.no_batch ? std::nullopt : std::move(mine.batch);
}

/// Before an error that ends the run and is not to be hidden by another.
void Trainer::save_if_possible() {
  try {
    save_if_new();
  } catch (const AgreedError& error) {
    records_.note(fmt::format("step {}: not saved: {}", state_.step, error.what()));
  }
}

StepRecord Trainer::take_step(const Batch& batch) {
  const Clock::time_point start = Clock::now();
  const int64_t waited_ns = context_.flight ? context_.flight->collective_ns() : 0;
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
  if (context_.flight) {
    work_times_.add(record.seconds -
                    double(context_.flight->collective_ns() - waited_ns) * kNanosecond);
  }
  return record;
}

void Trainer::advance(const Batch& batch, const StepFlags& agreed, StepRecord& record) {
  record.phase = phase_name(*plan_, state_.cursor.row);
  record.step_tokens = batch.tokens_RT.numel() * context_.mesh.dp_size;
  state_.step = batch.step + 1;
  state_.tokens += record.step_tokens;
  state_.num_updates += record.result.updated;
  count_sources(*plan_, state_.cursor, batch.cursor_after, record);
  note_untrained(batch, record);
  train_seconds_ += record.seconds;
  train_tokens_ += record.step_tokens;
  note_place(*plan_, state_, config_.model.shape, batch.tokens_RT.size(1), record);
  record.peak_flops = options_.peak_flops * context_.mesh.world_size();
  record.skipped_steps = skipped_steps_ += record.result.updated ? 0 : 1;
  record.saving = saves_.running();
  record.saves = saves_.counts();
  record.data_wait_seconds = agreed.data_wait_seconds;
  record.peak_memory_bytes = agreed.peak_memory_bytes;
  wait_seconds_ += agreed.data_wait_seconds;
  record.validation_before = std::exchange(validation_before_, {});
  skipped_in_a_row_ = record.result.updated ? 0 : skipped_in_a_row_ + 1;
}

/// The ledger after the step, with the rows of steps whose update was skipped: the loader, which
/// runs ahead, does not know of them.
void Trainer::note_untrained(const Batch& batch, const StepRecord& record) {
  const int64_t first_row = state_.cursor.row;
  state_.cursor = batch.cursor_after;
  if (!record.result.updated) {
    untrained_rows_.emplace_back(first_row, state_.cursor.row);
  }
  for (const auto& [first, end] : untrained_rows_) note_skipped(state_.cursor, first, end);
}

ValidationResults Trainer::evaluate() {
  const FlightPhase mark(context_.flight, RunPhase::kEvaluate);
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
  const FlightPhase mark(context_.flight, RunPhase::kSave);
  saves_.save_and_wait(state_);  // so that a kill after the first step does not skip them again
}

/// What people and later starts count on, the last state and the edges of phases, is saved whatever
/// is under way; else a save that is due meanwhile is skipped.
void Trainer::save(bool last, bool at_edge) {
  const FlightPhase mark(context_.flight, RunPhase::kSave);
  requests_.note_save_begun();
  if (last) return saves_.save_and_wait(state_);
  at_edge ? saves_.begin_after_running(state_) : saves_.begin(state_);
}

/// Unless it is saved, or there is nothing to save yet.
void Trainer::save_if_new() {
  const FlightPhase mark(context_.flight, RunPhase::kSave);
  saves_.finish();
  if (state_.step > 0 && !saves_.has(state_.step)) save(/*last=*/true, /*at_edge=*/false);
}

RunOutcome Trainer::outcome() const {
  const bool stopped = state_.step < plan_->end_step();
  const std::string& why = options_.stop_first.empty() ? stop_reason_ : options_.stop_first;
  RunOutcome outcome{stopped, why, saves_.newest(), state_, plan_, validation_, saves_.counts()};
  if (train_seconds_ > 0) outcome.tokens_per_second = double(train_tokens_) / train_seconds_;
  outcome.data_wait_share = data_wait_share(wait_seconds_, train_seconds_);
  return outcome;
}

}  // namespace phalanx
