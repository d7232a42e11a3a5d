#include "parallel/tp_overlap.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <vector>

namespace phalanx {
namespace {

/// The tokens of one piece: of the n tokens of every part, those of `range`. Only the last parts
/// have fewer than n, so what a piece lacks is missing at its end.
struct Piece {
  Range range;
  std::vector<Range> rows;  // of the N tokens, part after part
};

std::vector<Piece> pieces_of(int64_t num_tokens, int64_t num_parts, int64_t num_chunks) {
  const int64_t n = (num_tokens + num_parts - 1) / num_parts;
  std::vector<Piece> pieces;
  for (int64_t c = 0; c < num_chunks; ++c) {
    Piece piece{split_range(n, num_chunks, c), {}};
    if (piece.range.size() == 0) break;
    for (int64_t part = 0; part < num_parts; ++part) {
      const int64_t begin = std::min(part * n + piece.range.begin, num_tokens);
      piece.rows.push_back({begin, std::min(part * n + piece.range.end, num_tokens)});
    }
    pieces.push_back(std::move(piece));
  }
  return pieces;
}

at::Tensor rows_of(const at::Tensor& x_N, const Piece& piece) {
  std::vector<at::Tensor> rows;
  for (const Range& r : piece.rows) rows.push_back(x_N.narrow(0, r.begin, r.size()));
  return rows.size() == 1 ? rows.front() : at::cat(rows);
}

void put_rows(const at::Tensor& rows, const Piece& piece, const at::Tensor& x_N) {
  int64_t first = 0;
  for (const Range& r : piece.rows) {
    x_N.narrow(0, r.begin, r.size()).copy_(rows.narrow(0, first, r.size()));
    first += r.size();
  }
}

at::Tensor empty_rows(int64_t num_rows, const at::Tensor& like) {
  std::vector<int64_t> shape = like.sizes().vec();
  shape[0] = num_rows;
  return at::empty(shape, like.options());
}

}  // namespace

at::Tensor reduce_behind(const TensorParallel& tp, const at::Tensor& x_N,
                         const RowProduct& product) {
  if (tp.num_chunks() == 1) return tp.reduce(product(x_N));
  const int64_t num_parts = tp.sequence_parallel() ? tp.group().size() : 1;
  std::vector<PendingTensor> reductions;
  for (const Piece& piece : pieces_of(x_N.size(0), num_parts, tp.num_chunks())) {
    at::Tensor y = product(rows_of(x_N, piece));
    const int64_t whole = piece.range.size() * num_parts;
    if (y.size(0) < whole) {  // so that each part is given as many rows
      y = at::cat({y, empty_rows(whole - y.size(0), y).zero_()});
    }
    reductions.push_back(tp.start_reduce(y));
  }
  std::vector<at::Tensor> results;
  for (PendingTensor& reduction : reductions) results.push_back(reduction.wait());
  return at::cat(results);
}

GatheredProduct gather_behind(const TensorParallel& tp, const at::Tensor& x_n, int64_t num_tokens,
                              const RowProduct& product, Gathered keep) {
  if (tp.num_chunks() == 1 || !tp.sequence_parallel()) {
    const at::Tensor x_N = tp.gather(x_n, num_tokens);
    return {product(x_N), keep == Gathered::kKeep ? x_N : at::Tensor()};
  }
  const std::vector<Piece> pieces = pieces_of(num_tokens, tp.group().size(), tp.num_chunks());
  std::vector<PendingTensor> gathers;
  for (const Piece& piece : pieces) {
    int64_t num_rows = 0;
    for (const Range& r : piece.rows) num_rows += r.size();
    gathers.push_back(
        tp.start_gather(x_n.narrow(0, piece.range.begin, piece.range.size()), num_rows));
  }
  GatheredProduct result;
  if (keep == Gathered::kKeep) result.gathered_N = empty_rows(num_tokens, x_n);
  for (size_t i = 0; i < pieces.size(); ++i) {
    const at::Tensor rows = gathers[i].wait();
    const at::Tensor y = product(rows);
    if (!result.product_N.defined()) result.product_N = empty_rows(num_tokens, y);
    put_rows(y, pieces[i], result.product_N);
    if (result.gathered_N.defined()) put_rows(rows, pieces[i], result.gathered_N);
  }
  return result;
}

}  // namespace phalanx
