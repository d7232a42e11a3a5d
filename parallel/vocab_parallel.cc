#include "parallel/vocab_parallel.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/logical_and.h>
#include <ATen/ops/zeros.h>
#include <ATen/record_function.h>

#include <algorithm>

#include "parallel/gemm.h"
#include "parallel/kernels/cross_entropy.h"

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
  RECORD_USER_SCOPE("embedding");
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

at::Tensor VocabParallelHead::chunk_loss(const Chunk& chunk, at::Tensor* dlogits_cv) const {
  const int64_t first = weight_->spec.used.begin;
  const at::Tensor logits_cv = linear_forward(chunk.x_cD, weight_->ready());
  at::Tensor statistics_3c = cross_entropy_statistics(logits_cv, chunk.targets_c, first);
  if (tp_.group().size() > 1) {
    const at::Tensor mine_c = statistics_3c[0].clone();
    tp_.group().all_reduce(statistics_3c[0], ReduceOp::kMax)->wait();
    statistics_3c[1].mul_((mine_c - statistics_3c[0]).exp_());
    tp_.group().all_reduce(statistics_3c.narrow(0, 1, 2), ReduceOp::kSum)->wait();
  }
  if (dlogits_cv != nullptr) {
    cross_entropy_gradient_(logits_cv, chunk.targets_c, chunk.mask_c, first, statistics_3c);
    *dlogits_cv = logits_cv;
  }
  const at::Tensor loss_c = statistics_3c[1].log().add_(statistics_3c[0]).sub_(statistics_3c[2]);
  return loss_c.masked_fill_(chunk.mask_c.logical_not(), 0.0);  // also where it is not finite
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
