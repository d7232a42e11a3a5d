#include "trainer/evaluator.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <numbers>

namespace phalanx {
namespace {

/// Text bytes of each token id; special tokens stand for no text.
std::vector<double> token_bytes(const Tokenizer& tokenizer) {
  std::vector<double> bytes;
  for (const std::string& token : tokenizer.parts().tokens) bytes.push_back(double(token.size()));
  for (const SpecialToken& special : tokenizer.parts().specials) {
    bytes[static_cast<size_t>(special.id)] = 0.0;
  }
  return bytes;
}

struct ValidationRows {
  at::Tensor ids_BT1, mask_BT;
};

ValidationRows read_rows(const RowSource& source, const std::vector<int64_t>& windows) {
  Row row;
  ValidationRows rows;
  for (size_t b = 0; b < windows.size(); ++b) {
    source.read(windows[b], row);
    const int64_t length = static_cast<int64_t>(row.tokens.size());
    if (b == 0) {
      const int64_t batch = static_cast<int64_t>(windows.size());
      rows.ids_BT1 = at::empty({batch, length}, at::kLong);
      rows.mask_BT = at::zeros({batch, length - 1}, at::kBool);
    }
    std::copy(row.tokens.begin(), row.tokens.end(),
              rows.ids_BT1.mutable_data_ptr<int64_t>() + static_cast<int64_t>(b) * length);
    rows.mask_BT[static_cast<int64_t>(b)].slice(0, 0, row.num_valid_targets).fill_(true);
  }
  return rows;
}

}  // namespace

Evaluator::Evaluator(const Phi4& model, const RunData& data, const RunContext& context,
                     int64_t max_rows, int64_t micro_batch_size)
    : model_(model),
      data_(data),
      context_(context),
      max_rows_(max_rows),
      micro_batch_size_(micro_batch_size),
      bytes_of_token_(token_bytes(*data.tokenizer)) {}

Evaluator::Sums Evaluator::local_sums(const RowSource& source, const RopeTable& rope) const {
  const int64_t num_rows = std::min(source.num_rows(), max_rows_);
  std::vector<int64_t> mine;
  for (int64_t i = context_.mesh.dp_rank; i < num_rows; i += context_.mesh.dp_size) {
    mine.push_back(i);
  }
  Sums sums;
  for (size_t first = 0; first < mine.size(); first += static_cast<size_t>(micro_batch_size_)) {
    const size_t end = std::min(mine.size(), first + static_cast<size_t>(micro_batch_size_));
    const ValidationRows rows = read_rows(source, {mine.begin() + first, mine.begin() + end});
    const int64_t length = rows.mask_BT.size(1);
    const at::Tensor targets_BT = rows.ids_BT1.narrow(1, 1, length).contiguous();
    const auto place = [&](const at::Tensor& t) { return t.to(context_.device); };
    const TokenBatch batch{place(rows.ids_BT1.narrow(1, 0, length).contiguous()),
                           place(targets_BT),
                           place(rows.mask_BT),
                           place(at::arange(length, at::kLong).repeat({rows.mask_BT.size(0), 1})),
                           {},
                           &rope};
    sums.nats += model_.loss(batch, nullptr).sum(at::kDouble).item<double>();
    const int64_t* target = targets_BT.const_data_ptr<int64_t>();
    const bool* valid = rows.mask_BT.const_data_ptr<bool>();
    for (int64_t i = 0; i < targets_BT.numel(); ++i) {
      if (!valid[i]) continue;
      sums.targets += 1.0;
      sums.bytes += bytes_of_token_[static_cast<size_t>(target[i])];
    }
  }
  return sums;
}

ValidationResults Evaluator::evaluate(const RopeTable& rope) const {
  const int64_t count = static_cast<int64_t>(data_.validation.size());
  at::Tensor values = at::zeros({count, 3}, at::kDouble);
  for (int64_t i = 0; i < count; ++i) {
    const Sums sums = local_sums(*data_.validation[i].rows, rope);
    if (context_.mesh.tp_rank != 0) continue;
    double* value = values[i].mutable_data_ptr<double>();
    value[0] = sums.nats;
    value[1] = sums.targets;
    value[2] = sums.bytes;
  }
  context_.control.all_reduce(values, ReduceOp::kSum, SumOrder::kRankOrder)->wait();
  ValidationResults results;
  for (int64_t i = 0; i < count; ++i) {
    const double* value = values[i].const_data_ptr<double>();
    results[data_.validation[i].name] = {value[0] / value[1],
                                         value[0] / std::numbers::ln2 / value[2],
                                         static_cast<int64_t>(value[1])};
  }
  return results;
}

}  // namespace phalanx
