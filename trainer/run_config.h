#pragma once
// One run, as the trainer sees it: plain values that configs/ fills from YAML. Units stand in the
// names or beside the field; tokens count targets (data/mixture/SEMANTICS.md, section 1).
#include <c10/core/ScalarType.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/mixture/curriculum_config.h"
#include "model/phi4_config.h"
#include "model/recompute.h"
#include "parallel/parallel_config.h"
#include "parallel/products.h"
#include "parallel/watchdog_limits.h"

namespace phalanx {

enum class Precision { kFp32, kBf16, kFp8 };  // kFp8: bf16, linear layers in fp8
inline c10::ScalarType dtype_of(Precision precision) {
  return precision == Precision::kFp32 ? c10::kFloat : c10::kBFloat16;
}
/// Which runs give equal bits: kSameMesh those on one mesh, kDpInvariant those with any number of
/// replicas.
enum class Reproducible { kOff, kSameMesh, kDpInvariant };
enum class Offload { kNone, kHost };
enum class Decay { kLinear, kCosine, kConstant };  // kConstant: constant, then linear over the end

/// A length given in tokens (`2M`) or in steps (`200 steps`).
struct Duration {
  enum class Unit { kTokens, kSteps } unit = Unit::kTokens;
  int64_t count = 0;
  bool operator==(const Duration&) const = default;
};

struct LearningRateConfig {
  double peak = 3e-4;
  Duration warmup;  // linear from 0
  Decay schedule = Decay::kLinear;
  Duration decay;      // kConstant only: length of the decay at the end
  double final = 0.0;  // rate at the end of the stage
};

struct StageConfig {
  std::string name = "pretrain";
  int64_t sequence_length = 4096;
  double rope_theta = 10000;
  int64_t global_batch_size = 0;           // rows a step, over all replicas
  std::vector<BatchRampEntry> batch_ramp;  // from there on in the stage, other sizes
  int64_t micro_batch_size = 1;            // rows a forward pass of one replica
  bool allow_repeat = false;
  LearningRateConfig learning_rate;
  std::vector<PhaseConfig> phases;
};

struct OptimizerConfig {
  double beta1 = 0.9;
  double beta2 = 0.95;
  double epsilon = 1e-8;
  double weight_decay = 0.1;
  bool decay_norms = false;     // default: only matrices decay
  double clip_grad_norm = 1.0;  // 0: no clipping
  // What the update keeps. bf16 is rounded stochastically; a bf16 master is the weight itself.
  Precision state = Precision::kFp32;  // both moments
  Precision master = Precision::kFp32;
  Offload offload = Offload::kNone;  // where moments and fp32 masters live
};

struct CheckpointConfig {
  Duration interval{Duration::Unit::kSteps, 0};  // 0: only at phase edges and at the end
  double interval_seconds = 0;                   // `20min`; 0: off
  int64_t keep_last = 3;
  Duration keep_every;       // checkpoints this far apart are kept for ever; 0: none
  bool asynchronous = true;  // the run goes on while a copy of its state is written
};

struct EvaluationConfig {
  Duration interval{Duration::Unit::kSteps, 0};  // 0: only at the start, phase edges and the end
  int64_t sequence_length = 0;                   // 0: that of the first stage
  int64_t max_rows = 64;                         // of each source's held-out part
};

struct WatchdogConfig {
  WatchdogLimits limits;
  double straggler_interval_seconds = 30;  // between comparisons of the ranks; 0: none
};

/// What is done about a loss or a gradient norm far above those before it.
enum class SpikePolicy { kOff, kSkip, kRollBack, kStop };
struct SpikeConfig {
  SpikePolicy policy = SpikePolicy::kOff;
  double z_score = 6;          // standard deviations above the mean of the window
  int64_t window = 128;        // steps that are remembered; at least half of them must have been
  int64_t max_roll_backs = 3;  // of the whole run
};

/// Numbers that are looked at before they are used.
struct NumbersConfig {
  int64_t max_skipped_in_a_row = 5;  // steps; then the run stops
  bool run_again = true;             // a step with a suspicious loss or norm, to compare
  int64_t check_interval = 100;      // steps between comparisons of hashes; 0: none
  SpikeConfig spikes;
};

/// What a run says of itself.
struct LoggingConfig {
  double interval_seconds = 5;  // between lines of progress where there is no terminal
  bool tensorboard = true;      // event files besides metrics.jsonl
  double peak_tflops = 0;       // of a rank's processor; 0: as the table of GPUs has it
};

struct ModelConfig {
  std::string preset;  // name it was started from, for messages
  Phi4Config shape;
  uint64_t seed = 1;
  std::string init_from;  // Hugging Face folder or checkpoint; empty: random weights
};

/// What a new run takes along from a checkpoint of another; a resume does not look at it.
struct ForkConfig {
  std::string from;       // folder of the checkpoint; empty: no fork
  bool weights = true;    // else random, or model.init_from
  bool optimizer = true;  // Adam's moments and count of updates
  bool ledger = true;     // what each source has given, for epochs and caps
};

struct RunConfig {
  std::string name;
  std::string dir = "runs";
  int64_t stop_after_steps = 0;         // > 0: save and stop (exit code 75) once this step is done
  double wall_clock_limit_seconds = 0;  // > 0: save and stop in time to end before it has passed
  ForkConfig fork;
  ModelConfig model;
  ParallelConfig parallel;
  DataConfig data;
  std::vector<StageConfig> stages;
  OptimizerConfig optimizer;
  Precision precision = Precision::kBf16;
  Fp8Scaling fp8_scaling = Fp8Scaling::kTensor;  // with kFp8
  Precision gradients = Precision::kFp32;        // of the buckets in which they add up
  Recompute recompute = Recompute::kNone;
  Reproducible reproducible = Reproducible::kOff;
  int64_t leaf_group_size = 1;  // kDpInvariant: micro-batches that are summed in their order
  bool curriculum_from_resume = false;  // resume: a changed curriculum starts a new ledger segment
  int64_t loss_chunk_tokens = 1024;     // tokens whose logits exist at one time
  CheckpointConfig checkpoint;
  EvaluationConfig evaluation;
  WatchdogConfig watchdog;
  NumbersConfig numbers;
  LoggingConfig logging;
};

/// Of the blocks' linear layers.
inline Products linear_products(const RunConfig& config) {
  if (config.precision != Precision::kFp8) return Products::kCompute;
  return config.fp8_scaling == Fp8Scaling::kRows ? Products::kFp8Rowwise : Products::kFp8;
}

}  // namespace phalanx
