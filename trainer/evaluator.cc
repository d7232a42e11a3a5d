#include "trainer/evaluator.h"

#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <numbers>
#include <numeric>

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

}  // namespace

Evaluator::Evaluator(const Phi4& model, const RunData& data, const RunContext& context,
                     const EvaluatorOptions& options)
    : model_(model), context_(context), options_(options) {
  const std::vector<double> token_bytes = bytes_of_tokens(*data.tokenizer);
  run_together(context.control, [&] {
    for (const ValidationSource& source : data.validation) {
      parts_.push_back(read_part(source, token_bytes));
    }
  });
}

Evaluator::Part Evaluator::read_part(const ValidationSource& source,
                                     const std::vector<double>& token_bytes) const {
  const int64_t num_rows = std::min(source.rows->num_rows(), options_.max_rows);
  const Mesh& mesh = context_.mesh;
  const int64_t mine = (num_rows - mesh.dp_rank + mesh.dp_size - 1) / mesh.dp_size;
  Part part{source.name, make_batch(std::max<int64_t>(mine, 0), source.length)};
  Row row;
  for (int64_t r = 0; r < mine; ++r) {
    row.document_starts.clear();
    source.rows->read(mesh.dp_rank + r * mesh.dp_size, row);
    put_row(row, 0, r, options_.micro_batch.document_mask, part.rows);
  }
  part.bytes = text_bytes(part.rows, token_bytes);
  return part;
}

double Evaluator::nats_of(const Part& part, const RopeTable& rope) const {
  const int64_t rows = part.rows.tokens_RT.size(0), size = options_.micro_batch_size;
  std::vector<at::Tensor> losses;  // to the host at once, which waits for them
  for (int64_t first = 0; first < rows; first += size) {
    const TokenBatch batch =
        micro_batch(part.rows, first, std::min(size, rows - first), rope, options_.micro_batch);
    losses.push_back(model_.loss(batch, nullptr).sum(at::kDouble));
  }
  if (losses.empty()) return 0.0;
  const at::Tensor nats = at::stack(losses).cpu();
  const double* nat = nats.const_data_ptr<double>();
  return std::accumulate(nat, nat + nats.numel(), 0.0);
}

ValidationResults Evaluator::evaluate(const RopeTable& rope) const {
  const int64_t count = static_cast<int64_t>(parts_.size());
  at::Tensor values = at::zeros({count, 3}, at::kDouble);
  double* value = values.mutable_data_ptr<double>();
  for (int64_t i = 0; i < count; ++i) {
    const Part& part = parts_[static_cast<size_t>(i)];
    const double nats = nats_of(part, rope);
    if (context_.mesh.tp_rank != 0) continue;  // peers compute the same
    value[3 * i] = nats;
    value[3 * i + 1] = static_cast<double>(part.rows.num_valid_targets);
    value[3 * i + 2] = part.bytes;
  }
  context_.control.all_reduce(values, ReduceOp::kSum, SumOrder::kRankOrder)->wait();
  ValidationResults results;
  for (int64_t i = 0; i < count; ++i) {
    const double* v = value + 3 * i;
    results[parts_[static_cast<size_t>(i)].source] = {v[0] / v[1], v[0] / std::numbers::ln2 / v[2],
                                                      static_cast<int64_t>(v[1])};
  }
  return results;
}

}  // namespace phalanx
