#pragma once
// A product and the tensor-parallel collective that it depends on, cut into pieces of tokens
// (TensorParallel::num_chunks()): the collective of one piece runs behind the product of another.
// Without a collective, or with one piece, one product of all tokens. A product treats its rows
// alike, so that in fp32 the pieces give the bits of the whole.
// Collective over tp: every rank, same order. Stream: products on the current one; NCCL beside it.
// Shapes: N tokens, n this rank's part of them (tp_ops.h).
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>

#include "parallel/tp_ops.h"

namespace phalanx {

/// Pieces that a run is cut into: what was configured, or, for 0, 4 on cuda, whose collectives run
/// beside products, and 1 on a host. Local.
constexpr int64_t num_overlap_chunks(int64_t configured, bool cuda) {
  if (configured > 0) return configured;
  return cuda ? 4 : 1;
}

/// Rows in, as many rows out.
using RowProduct = std::function<at::Tensor(const at::Tensor& rows)>;

/// tp.reduce(product(x_N)).
at::Tensor reduce_behind(const TensorParallel& tp, const at::Tensor& x_N,
                         const RowProduct& product);

enum class Gathered { kDrop, kKeep };
struct GatheredProduct {
  at::Tensor product_N;
  at::Tensor gathered_N;  // tp.gather(x_n); undefined unless kept
};
/// product(tp.gather(x_n)).
GatheredProduct gather_behind(const TensorParallel& tp, const at::Tensor& x_n, int64_t num_tokens,
                              const RowProduct& product, Gathered keep = Gathered::kDrop);

}  // namespace phalanx
