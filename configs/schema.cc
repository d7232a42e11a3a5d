#include "configs/schema.h"

#include "configs/entries_of.h"
#include "configs/guard_schema.h"
#include "configs/logging_schema.h"
#include "configs/model_schema.h"
#include "configs/store_schema.h"
#include "configs/values.h"

namespace phalanx {
namespace {

using enum Tag;

void declare_fork(SchemaVisitor& v, ForkConfig& c) {
  v.field({"from", "folder of the checkpoint; empty: no fork. A resume does not read it", kFree},
          text_value(c.from));
  v.field({"weights", "else random, or from model.init_from", kFree}, flag_value(c.weights));
  v.field({"optimizer", "Adam's moments and its count of updates", kFree}, flag_value(c.optimizer));
  v.field(
      {"ledger", "what each source has given: epochs and caps go on; else they begin anew", kFree},
      flag_value(c.ledger));
}

void declare_parallel(SchemaVisitor& v, ParallelConfig& c) {
  v.field(
      {"tensor_parallel_size", "ranks that share a replica; data parallel = the others", kRounding},
      integer_value(c.tensor_parallel_size, 1, "ranks"));
  v.field(
      {"sequence_parallel", "split norms and residual over the tensor-parallel ranks", kRounding},
      flag_value(c.sequence_parallel));
  v.field({"overlap_chunks",
           "pieces in which a tensor-parallel product and its collective overlap; 0: 4 on cuda, 1 "
           "on cpu, whose collectives do not run beside products",
           kRounding},
          integer_value(c.overlap_chunks, 0, "pieces"));
  v.field({"cuda_graphs",
           "start a micro-batch's kernels by one call; for small models on one GPU, without "
           "document_mask",
           kResumable},
          flag_value(c.cuda_graphs));
  v.field(
      {"device", "where tensors live", kRounding},
      enum_value<DeviceKind>(c.device, {{"cpu", DeviceKind::kCpu}, {"cuda", DeviceKind::kCuda}}));
  v.field({"threads_per_rank",
           "CPU threads; 0: the cores a rank may use, shared with its host's "
           "ranks",
           kRounding},
          integer_value(c.threads_per_rank, 0, "threads"));
}

void declare_source(SchemaVisitor& v, SourceConfig& c) {
  v.section({c.name, "a data set"}, [&] {
    v.field({"path",
             "folder of the packed data set, or where to fetch it from: https://, http:// or "
             "s3://bucket/; a list: the same data set in several places, asked in order",
             kFree, true},
            places_value(c));
    v.field({"kind", "what the text is, for reports", kFree},
            enum_value<SourceKind>(c.kind, {{"organic", SourceKind::kOrganic},
                                            {"synthetic", SourceKind::kSynthetic}}));
    v.field(
        {"max_epochs", "passes allowed over the whole run; not set: one, or an error", kResumable},
        optional_real_value(c.max_epochs, kPositive));
    v.field({"shuffle_window", "shards whose rows are shuffled together; 0: all", kFixed},
            integer_value(c.shuffle_window, 0, "shards"));
    v.field({"mask_documents", "file with a document's number a line, whose targets do not count",
             kResumable},
            text_value(c.mask_documents));
    v.section({"validation", "a held-out part for a data set that was packed without one"}, [&] {
      v.field({"last_tokens", "its last tokens, which are not trained on; 0: none", kFixed},
              count_value(c.validation_last_tokens, 0, "tokens"));
    });
  });
}

void declare_data(SchemaVisitor& v, DataConfig& c) {
  v.field({"seed", "of the order of the data", kFixed}, seed_value(c.seed));
  v.field({"tokenizer", "file or folder: a tokenizer's, Hugging Face's, an imported checkpoint",
           kFree, true},
          text_value(c.tokenizer));
  v.table({"sources", "data sets by name", kResumable, true},
          entries_of(c.sources, declare_source));
  v.table({"groups", "sources weighted as one: shares that sum to 1", kResumable},
          entries_of(c.groups, [](SchemaVisitor& w, const std::string& group, auto& members) {
            w.table(
                {group, "a group"},
                entries_of(members, [](SchemaVisitor& x, const std::string& name, double& share) {
                  x.field({name, "share of the source in the group", kResumable, true},
                          real_value(share, kWeight));
                }));
          }));
  v.field({"on_exhausted", "what happens when a source reaches its cap", kResumable},
          enum_value<OnExhausted>(c.on_exhausted, {{"error", OnExhausted::kError},
                                                   {"renormalize", OnExhausted::kRenormalize}}));
  v.field({"document_mask", "no attention across documents of a row", kFixed},
          flag_value(c.document_mask));
  v.field({"packing", "rows: windows of the tokens, or bins of whole documents", kFixed},
          enum_value<RowPacking>(
              c.packing, {{"windows", RowPacking::kWindows}, {"best_fit", RowPacking::kBestFit}}));
  v.field({"verify", "compare each 16 MiB that is read with the hash of packing", kFree},
          flag_value(c.verify));
  v.section({"store", "how data sets that are named by a URL are fetched"},
            [&] { declare_store(v, c.store); });
}

void declare_phase(SchemaVisitor& v, PhaseConfig& c) {
  v.field({"name", "unique in its stage", kResumable, true}, name_value(c.name, false));
  v.field({"tokens", "length of the phase in targets, padding included", kResumable, true},
          count_value(c.tokens, 1, "tokens"));
  v.table(
      {"mix", "weight of each source or group; one may be `rest`; the sum is 1", kResumable, true},
      entries_of(c.mix, [](SchemaVisitor& w, MixEntry& entry) {
        w.field({entry.name, "weight of a source or group", kResumable, true},
                share_value(entry.weight));
      }));
  v.field({"ramp", "how the mix of the phase before turns into this one", kResumable},
          enum_value<Ramp>(c.ramp, {{"step", Ramp::kStep}, {"linear", Ramp::kLinear}}));
  v.field({"ramp_tokens", "length of a linear ramp", kResumable, false, "the whole phase"},
          optional_count_value(c.ramp_tokens, "tokens"));
}

void declare_learning_rate(SchemaVisitor& v, LearningRateConfig& c) {
  using enum Duration::Unit;
  v.field({"peak", "rate after the warm-up", kResumable}, real_value(c.peak, kPositive));
  v.field({"warmup_tokens", "linear from 0; or warmup_steps", kResumable},
          duration_value_in(c.warmup, kTokens));
  v.field({"warmup_steps", "linear from 0; or warmup_tokens", kResumable, false, "0"},
          duration_value_in(c.warmup, kSteps));
  v.field({"schedule", "from the peak to the end; constant: constant, then linear", kResumable},
          enum_value<Decay>(c.schedule, {{"linear", Decay::kLinear},
                                         {"cosine", Decay::kCosine},
                                         {"constant", Decay::kConstant}}));
  v.field({"decay_tokens", "schedule constant: the decay at the end; or decay_steps", kResumable},
          duration_value_in(c.decay, kTokens));
  v.field({"decay_steps", "schedule constant: the decay at the end; or decay_tokens", kResumable,
           false, "0"},
          duration_value_in(c.decay, kSteps));
  v.field({"final", "rate at the end of the stage", kResumable}, real_value(c.final, kNotNegative));
}

void declare_batch_ramp_entry(SchemaVisitor& v, BatchRampEntry& c) {
  v.field(
      {"from_tokens", "of the stage; the first step that begins at or after it", kResumable, true},
      count_value(c.from_tokens, 1, "tokens"));
  v.field({"global_batch_size", "rows a step from there on", kResumable, true},
          integer_value(c.global_batch_size, 1, "rows"));
}

void declare_stage(SchemaVisitor& v, StageConfig& c) {
  v.field({"name", "unique in the run", kResumable, true}, name_value(c.name, false));
  v.field({"sequence_length", "targets of a row", kFixed, true},
          integer_value(c.sequence_length, 1, "tokens"));
  v.field({"rope_theta", "base of the rotary embedding", kFixed},
          real_value(c.rope_theta, kPositive));
  v.field({"global_batch_size", "rows a step, over all replicas", kFixed, true},
          integer_value(c.global_batch_size, 1, "rows"));
  v.list({"batch_ramp", "larger (or smaller) steps from a point of the stage on", kResumable},
         entries_of(c.batch_ramp, declare_batch_ramp_entry));
  v.field({"micro_batch_size", "rows a forward pass of one replica", kRounding},
          integer_value(c.micro_batch_size, 1, "rows"));
  v.field({"allow_repeat", "may meet tokens again that were read at another sequence_length",
           kResumable},
          flag_value(c.allow_repeat));
  v.section({"learning_rate", "the stage's rate"},
            [&] { declare_learning_rate(v, c.learning_rate); });
  v.list({"phases", "the curriculum, in order", kResumable, true},
         entries_of(c.phases, declare_phase));
}

/// The type in which something is kept.
Value storage_value(Precision& type) {
  return enum_value<Precision>(type, {{"fp32", Precision::kFp32}, {"bf16", Precision::kBf16}});
}

void declare_optimizer(SchemaVisitor& v, OptimizerConfig& c) {
  v.field({"name", "the only one", kFixed},
          choice_value(
              {"adamw"}, [] { return std::size_t{0}; }, [](std::size_t) {}));
  v.field({"beta1", "decay of the mean gradient", kFixed}, real_value(c.beta1, kBelowOne));
  v.field({"beta2", "decay of the mean square", kFixed}, real_value(c.beta2, kBelowOne));
  v.field({"epsilon", "added to the root of the mean square", kFixed},
          real_value(c.epsilon, kPositive));
  v.field({"weight_decay", "decoupled, times the rate", kFixed},
          real_value(c.weight_decay, kNotNegative));
  v.field({"decay_norms", "decay the norm weights too, not only the matrices", kFixed},
          flag_value(c.decay_norms));
  v.field({"clip_grad_norm", "largest norm of the gradient; 0: no clipping", kFixed},
          real_value(c.clip_grad_norm, kNotNegative));
  v.field(
      {"state", "the moments; bf16 is rounded stochastically, by seed, name and step", kResumable},
      storage_value(c.state));
  v.field({"master", "what the update changes; bf16: the bf16 weight itself, rounded likewise",
           kResumable},
          storage_value(c.master));
  v.field({"offload", "host: moments and fp32 masters in the host's memory, not the GPU's", kFree},
          enum_value<Offload>(c.offload, {{"none", Offload::kNone}, {"host", Offload::kHost}}));
}

void declare_numerics(SchemaVisitor& v, RunConfig& c) {
  v.field(
      {"precision",
       "of the weights and the matrix products. fp8: the linear layers of the blocks, on cuda; the "
       "rest in bf16",
       kFixed},
      enum_value<Precision>(
          c.precision,
          {{"bf16", Precision::kBf16}, {"fp32", Precision::kFp32}, {"fp8", Precision::kFp8}}));
  v.field({"fp8_scaling",
           "of fp8's factors: tensorwise, one scale a matrix; rowwise, one for each of their rows, "
           "which keeps an outlier to its row (Hopper)",
           kFixed},
          enum_value<Fp8Scaling>(c.fp8_scaling, {{"tensorwise", Fp8Scaling::kTensor},
                                                 {"rowwise", Fp8Scaling::kRows}}));
  v.field(
      {"gradients", "of the sums over micro-batches; bf16 is rounded stochastically", kResumable},
      storage_value(c.gradients));
  v.field({"recompute", "what the backward pass computes again instead of keeping", kFree},
          enum_value<Recompute>(c.recompute, {{"none", Recompute::kNone},
                                              {"selective", Recompute::kSelective},
                                              {"full", Recompute::kFull}}));
  v.field({"reproducible",
           "runs that give equal bits: same_mesh, on one mesh; dp_invariant, on any number of "
           "replicas, resumes included",
           kResumable},
          enum_value<Reproducible>(c.reproducible, {{"off", Reproducible::kOff},
                                                    {"same_mesh", Reproducible::kSameMesh},
                                                    {"dp_invariant", Reproducible::kDpInvariant}}));
  v.field({"leaf_group_size",
           "dp_invariant: micro-batches whose gradients are added in their order before the tree; "
           "more need fewer buffers and allow fewer replicas",
           kRounding},
          integer_value(c.leaf_group_size, 1, "micro-batches"));
  v.field({"loss_chunk_tokens", "tokens whose logits exist at one time", kRounding},
          integer_value(c.loss_chunk_tokens, 1, "tokens"));
  v.field({"curriculum_from", "resume: a changed curriculum starts where the run stands", kFree},
          choice_value(
              {"start", "resume"}, [&c] { return c.curriculum_from_resume ? 1u : 0u; },
              [&c](std::size_t i) { c.curriculum_from_resume = i == 1; }));
}

}  // namespace

void declare_run(SchemaVisitor& v, RunConfig& c) {
  v.section({"run", "the run"}, [&] {
    v.field({"name", "the run's folder in run.dir", kFree, true}, name_value(c.name, true));
    v.field({"dir", "folder of the runs", kFree}, text_value(c.dir));
    v.field({"stop_after_steps", "save and stop (exit code 75) after this step; 0: never", kFree},
            integer_value(c.stop_after_steps, 0, "steps"));
    v.field(
        {"wall_clock_limit",
         "save and stop (exit code 75) so that this start of the run ends before it; 0: no limit",
         kFree},
        seconds_value(c.wall_clock_limit_seconds));
  });
  v.section({"fork", "what a new run takes along from a checkpoint of another"},
            [&] { declare_fork(v, c.fork); });
  v.section({"model", "the transformer"}, [&] { declare_model(v, c.model); });
  v.section({"parallel", "how ranks share the work"}, [&] { declare_parallel(v, c.parallel); });
  v.section({"data", "what is read"}, [&] { declare_data(v, c.data); });
  v.list({"stages", "the run, in order", kResumable, true}, entries_of(c.stages, declare_stage));
  v.section({"optimizer", "AdamW"}, [&] { declare_optimizer(v, c.optimizer); });
  declare_numerics(v, c);
  v.section({"checkpoint", "what is kept"}, [&] {
    v.field({"interval", "0: only at the edges of phases and at the end", kFree},
            interval_value(c.checkpoint.interval, c.checkpoint.interval_seconds));
    v.field({"keep_last", "checkpoints kept besides those of keep_every", kFree},
            integer_value(c.checkpoint.keep_last, 1));
    v.field({"keep_every", "checkpoints this far apart are kept for ever; 0: none", kFree},
            duration_value(c.checkpoint.keep_every));
    v.field(
        {"asynchronous", "train on while a copy of the state, in host memory, is written", kFree},
        flag_value(c.checkpoint.asynchronous));
  });
  v.section({"evaluation", "loss on held-out rows"}, [&] {
    v.field({"interval", "0: only at the start, the edges of phases and the end", kFree},
            duration_value(c.evaluation.interval));
    v.field({"sequence_length", "targets of a row; 0: that of the first stage", kFree},
            integer_value(c.evaluation.sequence_length, 0, "tokens"));
    v.field({"max_rows", "of each source", kFree}, integer_value(c.evaluation.max_rows, 1, "rows"));
  });
  declare_guards(v, c);
  declare_logging(v, c.logging);
}

}  // namespace phalanx
