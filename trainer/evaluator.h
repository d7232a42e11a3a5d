#pragma once
// Validation: bits per byte of each source's held-out part, over a fixed set of rows.
// Collective over tp and control: every rank. Rows go to the replicas in turn; the sums do not
// depend on the number of replicas beyond rounding. Refers to what it is given.
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "model/phi4.h"
#include "trainer/run_context.h"
#include "trainer/run_data.h"

namespace phalanx {

struct ValidationResult {
  double loss = 0.0;           // nats a target
  double bits_per_byte = 0.0;  // nats / ln 2 / bytes of the targets' text; special tokens have none
  int64_t targets = 0;
};
using ValidationResults = std::map<std::string, ValidationResult>;  // by source

class Evaluator {
 public:
  Evaluator(const Phi4& model, const RunData& data, const RunContext& context, int64_t max_rows,
            int64_t micro_batch_size);

  ValidationResults evaluate(const RopeTable& rope) const;

 private:
  struct Sums {
    double nats = 0.0, targets = 0.0, bytes = 0.0;
  };
  Sums local_sums(const RowSource& rows, const RopeTable& rope) const;

  const Phi4& model_;
  const RunData& data_;
  const RunContext& context_;
  int64_t max_rows_;
  int64_t micro_batch_size_;
  std::vector<double> bytes_of_token_;
};

}  // namespace phalanx
