#include "data/mixture/batch.h"

#include <ATen/ops/empty.h>

#include <algorithm>

namespace phalanx {

Batch make_batch(int64_t num_rows, int64_t length) {
  Batch batch;
  batch.tokens_RT = at::empty({num_rows, length}, at::kLong);
  batch.targets_RT = at::empty({num_rows, length}, at::kLong);
  batch.loss_mask_RT = at::empty({num_rows, length}, at::kBool);
  return batch;
}

Batch BatchPool::make(int64_t num_rows, int64_t length) {
  std::erase_if(tensors_, [&](const auto& three) {
    return three[0].size(0) != num_rows || three[0].size(1) != length;
  });
  const auto is_free = [](const at::Tensor& tensor) {
    return tensor.use_count() == 1 && tensor.storage().use_count() == 1;  // a view has its storage
  };
  for (const auto& three : tensors_) {
    if (!std::all_of(three.begin(), three.end(), is_free)) continue;
    Batch batch;
    batch.tokens_RT = three[0];
    batch.targets_RT = three[1];
    batch.loss_mask_RT = three[2];
    return batch;
  }
  Batch batch = make_batch(num_rows, length);
  tensors_.push_back({batch.tokens_RT, batch.targets_RT, batch.loss_mask_RT});
  return batch;
}

namespace {

/// Sets mask[begin, end) to false; the number of entries that were true.
int64_t clear(bool* mask, int64_t begin, int64_t end) {
  int64_t cleared = 0;
  for (int64_t i = begin; i < end; ++i) cleared += mask[i];
  std::fill(mask + begin, mask + end, false);
  return cleared;
}

}  // namespace

void put_row(const Row& row, int32_t source, int64_t place, bool document_mask, Batch& batch) {
  const int64_t length = batch.tokens_RT.size(1);
  bool* mask = batch.loss_mask_RT.mutable_data_ptr<bool>() + place * length;
  std::copy_n(row.tokens.begin(), length,
              batch.tokens_RT.mutable_data_ptr<int64_t>() + place * length);
  std::copy_n(row.tokens.begin() + 1, length,
              batch.targets_RT.mutable_data_ptr<int64_t>() + place * length);
  std::fill_n(mask, row.num_valid_targets, true);
  std::fill(mask + row.num_valid_targets, mask + length, false);
  int64_t valid = row.num_valid_targets;
  if (document_mask) {
    for (const int64_t start : row.document_starts) {
      if (start >= 1 && start <= length) valid -= clear(mask, start - 1, start);
    }
  }
  for (const auto& [begin, end] : row.masked_targets) {
    valid -= clear(mask, begin, std::min(end, length));
  }
  batch.num_valid_targets += valid;
  batch.source_R.push_back(source);
  batch.document_starts_R.push_back(row.document_starts);
  batch.documents_R.push_back(row.documents);
}

}  // namespace phalanx
