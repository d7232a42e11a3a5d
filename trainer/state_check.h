#pragma once
// One flipped bit in what a run keeps from step to step, found by hashes every `interval` steps:
// - weights as the passes of a step read them, before its update makes them anew: the same on all
//   replicas, and what is not cut over tp on all ranks. Where they differ they are made again from
//   the masters, which mends them; what differs again ends the run, and so does what differs where
//   masters and weights are one (optimizer.master: bf16).
// - masters and moments: hashed right after an update, and again before the next one reads them.
//   They cannot be made again, so that a difference ends the run.
// Collective over control and dp: before_update(), every rank, every step. after_update() is local.
// Ownership: refers to everything it is given.
// Errors: AgreedError with ExitCode::kFaultyHardware on all ranks, naming rank, host,
// device and tensor.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "parallel/parameters.h"
#include "trainer/adamw.h"
#include "trainer/run_context.h"

namespace phalanx {

class StateCheck {
 public:
  /// 0: nothing is looked at.
  StateCheck(ParameterSet& parameters, AdamW& optimizer, const RunContext& context,
             int64_t interval)
      : parameters_(parameters), optimizer_(optimizer), context_(context), interval_(interval) {}

  /// Between the passes of `step`, from 1, and its update; `suspicious`: the weights are looked at
  /// though it is not their turn. What was mended, for people: the passes are to be made again.
  /// Empty: nothing.
  std::string before_update(int64_t step, bool suspicious);
  /// After the update of `step`.
  void after_update(int64_t step);

 private:
  bool is_due(int64_t step) const { return interval_ != 0 && step % interval_ == 0; }
  void compare_state() const;
  [[noreturn]] static void end_run(int64_t step, const std::string& found);
  /// Where copies of the weights differ: "TENSOR on rank R (HOST, DEVICE)"; empty: nowhere.
  std::string differing_weights();
  std::string name_copies(const std::vector<uint64_t>& hashes, size_t parameter);
  std::vector<uint64_t> state_hashes() const;

  ParameterSet& parameters_;
  AdamW& optimizer_;
  const RunContext& context_;
  int64_t interval_;
  // Of the last update, where it was due. Empty on a rank that holds padding alone.
  std::optional<std::vector<uint64_t>> state_;
};

}  // namespace phalanx
