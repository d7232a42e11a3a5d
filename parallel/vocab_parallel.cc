#include "parallel/vocab_parallel.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/logical_and.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <limits>

#include "parallel/gemm.h"
#include "parallel/kernels/vocab_rows.h"

namespace phalanx {

VocabParallelEmbedding::VocabParallelEmbedding(ParameterSet& parameters, const TensorParallel& tp,
                                               const std::string& name, int64_t vocab_size,
                                               int64_t hidden_size)
    : tp_(tp),
      weight_(&parameters.declare(
          name, sharded({vocab_size, hidden_size}, 0, tp.part_of(vocab_size)), "embedding",
          /*decay=*/true)) {}

at::Tensor VocabParallelEmbedding::local_index(const at::Tensor& tokens_N) const {
  const int64_t first = weight_->spec.used.begin;
  return first == 0 ? tokens_N : tokens_N - first;
}

at::Tensor VocabParallelEmbedding::forward(const at::Tensor& tokens_N) const {
  const int64_t rows = weight_->spec.used.size();
  const at::Tensor& weight_vD = weight_->ready();
  if (tp_.group().size() == 1) return at::embedding(weight_vD, tokens_N);
  if (rows == 0) {
    return tp_.reduce(at::zeros({tokens_N.size(0), weight_vD.size(1)}, weight_vD.options()));
  }
  const at::Tensor index_N = local_index(tokens_N);
  const at::Tensor inside_N = at::logical_and(index_N >= 0, index_N < rows);
  at::Tensor y_ND = at::embedding(weight_vD, index_N.clamp(0, rows - 1));
  y_ND.mul_(inside_N.unsqueeze(1));
  return tp_.reduce(y_ND);
}

void VocabParallelEmbedding::backward(const at::Tensor& dy_nD, const at::Tensor& tokens_N,
                                      GradBuckets& grads) const {
  const at::Tensor dy_ND = tp_.gather(dy_nD, tokens_N.size(0));
  grads.accumulate_rows(*weight_, local_index(tokens_N), dy_ND);
}

VocabParallelHead::VocabParallelHead(ParameterSet& parameters, const TensorParallel& tp,
                                     const std::string& name, int64_t vocab_size,
                                     int64_t hidden_size, int64_t chunk_tokens)
    : tp_(tp),
      weight_(&parameters.declare(
          name, sharded({vocab_size, hidden_size}, 0, tp.part_of(vocab_size)), "head",
          /*decay=*/true)),
      chunk_tokens_(chunk_tokens) {}

VocabParallelHead::VocabParallelHead(VocabParallelEmbedding& embedding, const TensorParallel& tp,
                                     int64_t chunk_tokens)
    : tp_(tp), weight_(&embedding.weight()), chunk_tokens_(chunk_tokens) {
  weight_->uses = 2;
}

at::Tensor VocabParallelHead::chunk_loss_cuda(const Chunk& chunk, at::Tensor* dlogits_cv) const {
  const int64_t first = weight_->spec.used.begin;
  const at::Tensor logits_cv = linear_forward(chunk.x_cD, weight_->ready());
  const at::Tensor part_3c = softmax_statistics_cuda(logits_cv, chunk.targets_c, first);
  const at::Tensor max_c = part_3c[0].clone(), sums_2c = part_3c.narrow(0, 1, 2);
  if (tp_.group().size() > 1) {
    tp_.group().all_reduce(max_c, ReduceOp::kMax)->wait();
    sums_2c[0].mul_((part_3c[0] - max_c).exp_());
    tp_.group().all_reduce(sums_2c, ReduceOp::kSum)->wait();
  }
  const at::Tensor mask_c = chunk.mask_c.to(at::kFloat);
  if (dlogits_cv != nullptr) {
    cross_entropy_gradient_cuda_(logits_cv, chunk.targets_c, first, {max_c, sums_2c[0], mask_c});
    *dlogits_cv = logits_cv;
  }
  return (sums_2c[0].log() - (sums_2c[1] - max_c)).mul_(mask_c);
}

at::Tensor VocabParallelHead::chunk_loss(const Chunk& chunk, at::Tensor* dlogits_cv) const {
  if (chunk.x_cD.is_cuda()) return chunk_loss_cuda(chunk, dlogits_cv);
  const Range rows = weight_->spec.used;
  const int64_t c = chunk.x_cD.size(0);
  const auto fp32 = chunk.x_cD.options().dtype(at::kFloat);
  at::Tensor p_cv = linear_forward(chunk.x_cD, weight_->ready()).to(at::kFloat);
  at::Tensor max_c =
      rows.size() > 0 ? p_cv.amax(1) : at::full({c}, -std::numeric_limits<float>::infinity(), fp32);
  if (tp_.group().size() > 1) tp_.group().all_reduce(max_c, ReduceOp::kMax)->wait();
  p_cv.sub_(max_c.unsqueeze(1));

  // Row 0: sum of exponentials; row 1: shifted logit of the target, held by one rank.
  at::Tensor sums_2c = at::zeros({2, c}, fp32);
  at::Tensor inside_c, index_c;
  if (rows.size() > 0) {
    inside_c = at::logical_and(chunk.targets_c >= rows.begin, chunk.targets_c < rows.end);
    index_c = (chunk.targets_c - rows.begin).clamp(0, rows.size() - 1).unsqueeze(1);
    sums_2c[1].copy_(p_cv.gather(1, index_c).squeeze(1).mul_(inside_c));
    p_cv.exp_();
    sums_2c[0].copy_(p_cv.sum(1));
  }
  if (tp_.group().size() > 1) tp_.group().all_reduce(sums_2c, ReduceOp::kSum)->wait();
  if (dlogits_cv != nullptr) {
    const at::Tensor mask_c = chunk.mask_c.to(at::kFloat);
    p_cv.mul_((mask_c / sums_2c[0]).unsqueeze(1));
    if (rows.size() > 0) p_cv.scatter_add_(1, index_c, (inside_c * mask_c).neg().unsqueeze(1));
    *dlogits_cv = p_cv.to(chunk.x_cD.scalar_type());
  }
  return (sums_2c[0].log() - sums_2c[1]).mul_(chunk.mask_c);
}

HeadLoss VocabParallelHead::loss(const at::Tensor& x_nD, const at::Tensor& targets_N,
                                 const at::Tensor& mask_N, GradBuckets* grads) const {
  const int64_t num_tokens = targets_N.size(0);
  const at::Tensor x_ND = tp_.gather(x_nD, num_tokens);
  HeadLoss result;
  result.loss_N = at::empty({num_tokens}, x_ND.options().dtype(at::kFloat));
  at::Tensor dx_ND = grads ? at::empty_like(x_ND) : at::Tensor();
  for (int64_t begin = 0; begin < num_tokens; begin += chunk_tokens_) {
    const int64_t size = std::min(chunk_tokens_, num_tokens - begin);
    const Chunk chunk{x_ND.narrow(0, begin, size), targets_N.narrow(0, begin, size),
                      mask_N.narrow(0, begin, size)};
    at::Tensor dlogits_cv;
    result.loss_N.narrow(0, begin, size).copy_(chunk_loss(chunk, grads ? &dlogits_cv : nullptr));
    if (grads == nullptr) continue;
    dx_ND.narrow(0, begin, size).copy_(linear_backward_input(dlogits_cv, weight_->ready()));
    const bool last = begin + size == num_tokens;
    grads->accumulate_linear({weight_}, dlogits_cv, chunk.x_cD,
                             last ? Contribution::kLast : Contribution::kMore);
  }
  if (grads) result.dx_nD = tp_.reduce(dx_ND);
  return result;
}

at::Tensor VocabParallelHead::logits(const at::Tensor& x_nD, int64_t num_tokens,
                                     int64_t vocab_size) const {
  const at::Tensor x_ND = tp_.gather(x_nD, num_tokens);
  const int64_t parts = tp_.group().size();
  const int64_t v = (vocab_size + parts - 1) / parts;  // rows of the first part, the longest
  at::Tensor mine_vN = at::zeros({v, num_tokens}, x_ND.options().dtype(at::kFloat));
  mine_vN.narrow(0, 0, weight_->spec.used.size()).copy_(linear_forward(weight_->ready(), x_ND));
  if (parts == 1) return mine_vN.t();
  at::Tensor all_VN = at::empty({v * parts, num_tokens}, mine_vN.options());
  tp_.group().all_gather(all_VN, mine_vN)->wait();
  return all_VN.narrow(0, 0, vocab_size).t();
}

}  // namespace phalanx
