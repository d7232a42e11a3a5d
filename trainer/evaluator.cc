#include "trainer/evaluator.h"

#include <ATen/ops/stack.h>

#include <algorithm>
#include <numbers>

#include "parallel/agreement.h"

namespace phalanx {
namespace {

/// Text bytes of each token id; special tokens stand for no text.
std::vector<double> bytes_of_tokens(const Tokenizer& tokenizer) {
  std::vector<double> bytes;
  for (const std::string& token : tokenizer.parts().tokens) bytes.push_back(double(token.size()));
  for (const SpecialToken& special : tokenizer.parts().specials) {
    bytes[static_cast<size_t>(special.id)] = 0.0;
  }
  return bytes;
}

double text_bytes(const Batch& rows, const std::vector<double>& token_bytes) {
  const int64_t* target = rows.targets_RT.const_data_ptr<int64_t>();
  const bool* counts = rows.loss_mask_RT.const_data_ptr<bool>();
  double bytes = 0.0;
  for (int64_t i = 0; i < rows.targets_RT.numel(); ++i) {
    // An id past the tokenizer's, which a larger model's vocabulary allows, stands for no text.
    const auto id = static_cast<size_t>(target[i]);
    if (counts[i] && id < token_bytes.size()) bytes += token_bytes[id];
  }
  return bytes;
}

/// Rows are dealt out to the replicas in turn, so many at once.
std::vector<int64_t> rows_of_replica(int64_t num_rows, int64_t at_once, const Mesh& mesh) {
  std::vector<int64_t> rows;
  for (int64_t row = 0; row < num_rows; ++row) {
    if (row / at_once % mesh.dp_size == mesh.dp_rank) rows.push_back(row);
  }
  return rows;
}

}  // namespace

Evaluator::Evaluator(const Phi4& model, const RunData& data, const RunContext& context,
                     const EvaluatorOptions& options)
    : model_(model), context_(context), options_(options) {
  const std::vector<double> token_bytes = bytes_of_tokens(*data.tokenizer);
  run_together(context.control, [&] {
    for (const ValidationSource& source : data.validation) {
      parts_.push_back(read_part(source, token_bytes));
      source.rows->expect({});  // all is read: what was fetched for it may go
    }
  });
}

Evaluator::Part Evaluator::read_part(const ValidationSource& source,
                                     const std::vector<double>& token_bytes) const {
  const int64_t num_rows = std::min(source.rows->num_rows(), options_.max_rows);
  const bool whole_passes = options_.summation == Summation::kExact;
  const std::vector<int64_t> mine =
      rows_of_replica(num_rows, whole_passes ? options_.micro_batch_size : 1, context_.mesh);
  Part part{source.name, make_batch(static_cast<int64_t>(mine.size()), source.length)};
  Row row;
  for (size_t r = 0; r < mine.size(); ++r) {
    row.document_starts.clear();
    source.rows->read(mine[r], row);
    put_row(row, 0, static_cast<int64_t>(r), options_.micro_batch.document_mask, part.rows);
  }
  part.bytes = text_bytes(part.rows, token_bytes);
  return part;
}

std::vector<double> Evaluator::nats_of(const Part& part, const RopeTable& rope) const {
  const int64_t rows = part.rows.tokens_RT.size(0), size = options_.micro_batch_size;
  std::vector<at::Tensor> losses;  // to the host at once, which waits for them
  for (int64_t first = 0; first < rows; first += size) {
    const TokenBatch batch =
        micro_batch(part.rows, first, std::min(size, rows - first), rope, options_.micro_batch);
    losses.push_back(model_.loss(batch, nullptr).sum(at::kDouble));
  }
  if (losses.empty()) return {};
  const at::Tensor nats = at::stack(losses).cpu();
  const double* nat = nats.const_data_ptr<double>();
  return {nat, nat + nats.numel()};
}

ValidationResults Evaluator::evaluate(const RopeTable& rope) const {
  WorldSums sums(3 * parts_.size(), options_.summation);  // nats, targets and bytes of each part
  for (size_t i = 0; i < parts_.size(); ++i) {
    const Part& part = parts_[i];
    const std::vector<double> nats = nats_of(part, rope);
    if (context_.mesh.tp_rank != 0) continue;  // peers compute the same
    sums.add_all(3 * i, nats);
    sums.add(3 * i + 1, static_cast<double>(part.rows.num_valid_targets));
    sums.add(3 * i + 2, part.bytes);
  }
  sums.reduce(context_.control);
  ValidationResults results;
  for (size_t i = 0; i < parts_.size(); ++i) {
    const double nats = sums[3 * i], targets = sums[3 * i + 1], bytes = sums[3 * i + 2];
    results[parts_[i].source] = {nats / targets, nats / std::numbers::ln2 / bytes,
                                 static_cast<int64_t>(targets)};
  }
  return results;
}

}  // namespace phalanx
