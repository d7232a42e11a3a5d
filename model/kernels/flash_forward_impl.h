#pragma once
// The forward pass of a FlashRun: blocks of queries, for each the visible blocks of keys with a
// running maximum and sum. Included by one file for each instruction set.
#include "model/kernels/flash_block_impl.h"

namespace phalanx::kernels {
namespace {

template <class Isa>
struct ForwardWorkspace {
  using Element = typename Isa::Element;
  Element* keys;    // packed by key, depth H
  Element* values;  // packed by feature, a block of keys after another
  Element* queries;
  float* scores;           // kQueries x kKeys
  Element* probabilities;  // the same as elements; in fp32 they take the place of the scores
  Element* panel;          // the same, packed by query
  float* out;              // kQueries x H
  float *maximum, *sum;    // kQueries
};

template <class Isa>
ForwardWorkspace<Isa> forward_workspace(const FlashRun& run, float* base) {
  using Element = typename Isa::Element;
  const int64_t h = round_up(run.head_dim, 32), padded = round_up(run.length, kKeys);
  const auto take = [&base](int64_t floats) {
    base += floats;
    return reinterpret_cast<Element*>(base - floats);
  };
  ForwardWorkspace<Isa> w;
  w.keys = take(padded * h);
  w.values = take(padded * h);
  w.queries = take(kQueries * h);
  w.scores = base;
  w.probabilities = take(kQueries * kKeys);
  w.panel = take(kQueries * kKeys);
  if (sizeof(Element) < sizeof(float)) w.probabilities = w.panel + kQueries * kKeys;
  w.out = base;
  w.maximum = w.out + kQueries * h;
  w.sum = w.maximum + kQueries;
  return w;
}

/// Turns a row of scores into exponentials against the running maximum; returns the factor by which
/// what was summed before shrinks.
template <class Isa>
float exponentials(float* row, typename Isa::Element* to, const Visible& keys, float scale,
                   float& maximum, float& sum) {
  using Vector = typename Isa::Sum;
  constexpr int64_t kVectors = kKeys / Isa::kLanes;
  hide(row, keys, kMinusInfinity);
  Vector largest = Isa::load_sum(row);
  for (int64_t v = 1; v < kVectors; ++v) {
    const Vector x = Isa::load_sum(row + v * Isa::kLanes);
    largest = x > largest ? x : largest;
  }
  float most = maximum;
  for (int l = 0; l < Isa::kLanes; ++l)
    most = largest[l] * scale > most ? largest[l] * scale : most;
  Vector total{};
  for (int64_t v = 0; v < kVectors; ++v) {
    const Vector p = exp_vector<Isa>(Isa::load_sum(row + v * Isa::kLanes) * scale - most);
    Isa::store(to + v * Isa::kLanes, p);
    total += p;
  }
  const Vector shrink = exp_vector<Isa>((maximum - most) - Vector{});
  sum = sum * shrink[0] + sum_of_lanes(total);
  maximum = most;
  return shrink[0];
}

template <class Isa>
void softmax_block(const FlashRun& run, int64_t query, int64_t num_queries, int64_t key,
                   const ForwardWorkspace<Isa>& w) {
  for (int64_t r = 0; r < num_queries; ++r) {
    const Visible keys = visible_keys(run, query + r, key);
    typename Isa::Element* probabilities = w.probabilities + r * kKeys;
    if (keys.begin >= keys.end) {
      for (int64_t j = 0; j < kKeys; ++j) probabilities[j] = {};
      continue;
    }
    const float shrink = exponentials<Isa>(w.scores + r * kKeys, probabilities, keys, run.scale,
                                           w.maximum[r], w.sum[r]);
    float* out = w.out + r * run.head_dim;
    if (shrink != 1.0f) {
      for (int64_t h = 0; h < run.head_dim; ++h) out[h] *= shrink;
    }
  }
}

/// Queries [query, query + num_queries) of the head at `offset`.
template <class Isa, class T>
void forward_queries(const FlashRun& run, int64_t head, int64_t query, int64_t num_queries,
                     const ForwardWorkspace<Isa>& w) {
  const int64_t h = run.head_dim, wide = round_up(h, Isa::kColumns);
  const T* q = static_cast<const T*>(run.q) + head * h + query * run.row_stride;
  pack_panels<Isa, Isa::kRows>(q, run.row_stride, 1, num_queries, h, w.queries);
  for (int64_t i = 0; i < num_queries * h; ++i) w.out[i] = 0.0f;
  for (int64_t r = 0; r < num_queries; ++r) w.maximum[r] = kMinusInfinity, w.sum[r] = 0.0f;
  const int64_t end = query + num_queries;  // causal: no key from here on
  for (int64_t key = first_key_block(run, query); key < end; key += kKeys) {
    const int64_t num_keys = smaller(kKeys, end - key);
    multiply_packed<Isa, float>(w.queries, w.keys + key * round_up(h, Isa::kGroup),
                                {num_queries, num_keys, h, h}, {nullptr, 0, w.scores, kKeys});
    softmax_block<Isa>(run, query, num_queries, key, w);
    pack_panels<Isa, Isa::kRows>(w.probabilities, kKeys, 1, num_queries, num_keys, w.panel);
    multiply_packed<Isa, float>(w.panel, w.values + key * wide,
                                {num_queries, h, num_keys, smaller(kKeys, run.length - key)},
                                {w.out, h, w.out, h});
  }
  for (int64_t r = 0; r < num_queries; ++r) {
    store_row<T>(run.o, (query + r) * run.o_row_stride + head * h, w.out + r * h, h,
                 1.0f / w.sum[r]);
    run.logsumexp[head * run.logsumexp_head_stride + query + r] =
        w.maximum[r] + __builtin_logf(w.sum[r]);
  }
}

template <class Isa, class T>
void flash_forward(const FlashRun& run, float* workspace) {
  const ForwardWorkspace<Isa> w = forward_workspace<Isa>(run, workspace);
  const int64_t h = run.head_dim;
  const T *k = static_cast<const T*>(run.k), *v = static_cast<const T*>(run.v);
  pack_panels<Isa, Isa::kColumns>(k, run.row_stride, 1, run.length, h, w.keys);
  for (int64_t key = 0; key < run.length; key += kKeys) {
    pack_panels<Isa, Isa::kColumns>(v + key * run.row_stride, 1, run.row_stride, h,
                                    smaller(kKeys, run.length - key),
                                    w.values + key * round_up(h, Isa::kColumns));
  }
  for (int64_t head = 0; head < run.num_query_heads; ++head) {
    for (int64_t query = 0; query < run.length; query += kQueries) {
      forward_queries<Isa, T>(run, head, query, smaller(kQueries, run.length - query), w);
    }
  }
}

}  // namespace
}  // namespace phalanx::kernels
