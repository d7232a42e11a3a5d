#pragma once
// Validation: bits per byte of each source's held-out part, over a fixed set of rows that are read
// once, when the evaluator is made.
// Collective: the constructor over control, evaluate() over tp and control; every rank. Rows go to
// the replicas in turn, and the sums do not depend on the number of replicas beyond rounding. Or,
// for the same bits on any number of them, whole micro-batches do, and their losses are summed
// exactly.
// Ownership: owns the rows, refers to the model and the context.
// Errors: a row that cannot be read on any rank is one AgreedError on all.
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "model/phi4.h"
#include "trainer/micro_batch.h"
#include "trainer/run_context.h"
#include "trainer/run_data.h"
#include "trainer/world_sums.h"

namespace phalanx {

struct ValidationResult {
  double loss = 0.0;           // nats a target
  double bits_per_byte = 0.0;  // nats / ln 2 / bytes of the targets' text; special tokens have none
  int64_t targets = 0;
};
using ValidationResults = std::map<std::string, ValidationResult>;  // by source

struct EvaluatorOptions {
  int64_t max_rows = 64;  // of each source
  int64_t micro_batch_size = 1;
  MicroBatchOptions micro_batch;
  Summation summation = Summation::kInOrder;  // kExact: the same bits on any number of replicas
};

class Evaluator {
 public:
  Evaluator(const Phi4& model, const RunData& data, const RunContext& context,
            const EvaluatorOptions& options);

  ValidationResults evaluate(const RopeTable& rope) const;

 private:
  struct Part {
    std::string source;
    Batch rows;          // of this replica; may be none
    double bytes = 0.0;  // of text behind their valid targets
  };
  Part read_part(const ValidationSource& source, const std::vector<double>& token_bytes) const;
  /// Of each of this replica's micro-batches.
  std::vector<double> nats_of(const Part& part, const RopeTable& rope) const;

  const Phi4& model_;
  const RunContext& context_;
  EvaluatorOptions options_;
  std::vector<Part> parts_;
};

}  // namespace phalanx
