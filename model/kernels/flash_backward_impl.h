#pragma once
// The backward pass of a FlashRun: for each query head, blocks of keys outside and the blocks of
// queries that see them inside; probabilities are computed again from the saved log-sum-exp. dk and
// dv sum over the heads in their order. Included by one file for each instruction set.
#include "model/kernels/flash_block_impl.h"

namespace phalanx::kernels {
namespace {

template <class Isa>
struct BackwardWorkspace {
  using Element = typename Isa::Element;
  // Packed once a run: keys and values by key (depth H), keys by feature in blocks of keys.
  Element *keys, *values, *keys_by_feature;
  // Packed once a head: by query (depth H), and by feature in blocks of queries.
  Element *queries, *douts, *queries_by_feature, *douts_by_feature;
  float *dq, *dk, *dv;               // length x H, fp32 sums
  float* delta;                      // length: sum of do * o
  float *scores, *dprobabilities;    // kQueries x kKeys
  Element *probabilities, *dscores;  // made from them; in fp32 in their place
  Element* panel;  // one of them, packed: up to round_up(kKeys, rows of a tile) x kQueries
};

template <class Isa>
BackwardWorkspace<Isa> backward_workspace(const FlashRun& run, float* base) {
  using Element = typename Isa::Element;
  const int64_t h = round_up(run.head_dim, 32);
  static_assert(Isa::kRows <= kMostTileRows);
  const int64_t part = packed_rows(run.length) * h;
  const auto elements = [](float* floats) { return reinterpret_cast<Element*>(floats); };
  BackwardWorkspace<Isa> w;
  Element** const packed[] = {&w.keys,
                              &w.values,
                              &w.keys_by_feature,
                              &w.queries,
                              &w.douts,
                              &w.queries_by_feature,
                              &w.douts_by_feature};
  for (Element** pointer : packed) *pointer = elements(base), base += part;
  float** const sums[] = {&w.dq, &w.dk, &w.dv};
  for (float** pointer : sums) *pointer = base, base += part;
  w.delta = base;
  w.scores = w.delta + round_up(run.length, 16);
  w.dprobabilities = w.scores + kQueries * kKeys;
  float* rows = w.dprobabilities + kQueries * kKeys;
  const bool in_place = sizeof(Element) == sizeof(float);
  w.probabilities = elements(in_place ? w.scores : rows);
  w.dscores = in_place ? elements(w.dprobabilities) : w.probabilities + kQueries * kKeys;
  w.panel = elements(rows + (in_place ? 0 : kQueries * kKeys));
  return w;
}

/// Blocks of `size` rows, each packed by feature, one after another.
template <class Isa, class T>
void pack_by_feature(const T* x, int64_t row_stride, const FlashRun& run, int64_t size,
                     typename Isa::Element* packed) {
  const int64_t h = run.head_dim;
  for (int64_t row = 0; row < run.length; row += size) {
    pack_panels<Isa, Isa::kColumns>(x + row * row_stride, 1, row_stride, h,
                                    smaller(size, run.length - row),
                                    packed + row * round_up(h, Isa::kColumns));
  }
}

template <class T>
float dot(const T* a, const T* b, int64_t size) {
  constexpr int kLanes = 8;
  float lane[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= size; i += kLanes) {
    for (int l = 0; l < kLanes; ++l) lane[l] += widened(a[i + l]) * widened(b[i + l]);
  }
  for (int l = 0; i < size; ++i, ++l) lane[l] += widened(a[i]) * widened(b[i]);
  return ((lane[0] + lane[1]) + (lane[2] + lane[3])) + ((lane[4] + lane[5]) + (lane[6] + lane[7]));
}

template <class Isa, class T>
void pack_head(const FlashRun& run, int64_t head, const BackwardWorkspace<Isa>& w) {
  const int64_t h = run.head_dim;
  const T* q = static_cast<const T*>(run.q) + head * h;
  const T* d_o = static_cast<const T*>(run.d_o) + head * h;
  const T* o = static_cast<const T*>(run.o) + head * h;
  pack_panels<Isa, Isa::kRows>(q, run.row_stride, 1, run.length, h, w.queries);
  pack_panels<Isa, Isa::kRows>(d_o, run.o_row_stride, 1, run.length, h, w.douts);
  pack_by_feature<Isa>(q, run.row_stride, run, kQueries, w.queries_by_feature);
  pack_by_feature<Isa>(d_o, run.o_row_stride, run, kQueries, w.douts_by_feature);
  for (int64_t t = 0; t < run.length; ++t) {
    w.delta[t] = dot(d_o + t * run.o_row_stride, o + t * run.o_row_stride, h);
  }
  for (int64_t i = 0; i < run.length * h; ++i) w.dq[i] = 0.0f;
}

/// scores -> probabilities, dprobabilities -> dscores, both 0 where a key is hidden.
template <class Isa>
void score_gradients(const FlashRun& run, const float* logsumexp, int64_t query,
                     int64_t num_queries, int64_t key, const BackwardWorkspace<Isa>& w) {
  using Vector = typename Isa::Sum;
  using Element = typename Isa::Element;
  for (int64_t r = 0; r < num_queries; ++r) {
    const Visible keys = visible_keys(run, query + r, key);
    const float *s = w.scores + r * kKeys, *dp = w.dprobabilities + r * kKeys;
    Element *p = w.probabilities + r * kKeys, *ds = w.dscores + r * kKeys;
    const float lse = logsumexp[query + r], delta = w.delta[query + r];
    if (keys.begin < keys.end) {
      for (int64_t j = 0; j < kKeys; j += Isa::kLanes) {
        const Vector probability = exp_vector<Isa>(Isa::load_sum(s + j) * run.scale - lse);
        const Vector dscore = probability * (Isa::load_sum(dp + j) - delta) * run.scale;
        Isa::store(p + j, probability);
        Isa::store(ds + j, dscore);
      }
      hide(p, keys, Element{});
      hide(ds, keys, Element{});
    } else {
      for (int64_t j = 0; j < kKeys; ++j) p[j] = ds[j] = Element{};
    }
  }
}

/// One block of scores: its part of dq, dk and dv.
template <class Isa>
void backward_block(const FlashRun& run, int64_t head, int64_t query, int64_t key,
                    const BackwardWorkspace<Isa>& w) {
  const int64_t h = run.head_dim, wide = round_up(h, Isa::kColumns),
                deep = round_up(h, Isa::kGroup);
  const int64_t num_queries = smaller(kQueries, run.length - query);
  const int64_t block_keys = smaller(kKeys, run.length - key);
  const int64_t num_keys = smaller(block_keys, query + num_queries - key);  // causal
  const BlockSize by_key{num_queries, num_keys, h, h};
  multiply_packed<Isa, float>(w.queries + query * deep, w.keys + key * deep, by_key,
                              {nullptr, 0, w.scores, kKeys});
  multiply_packed<Isa, float>(w.douts + query * deep, w.values + key * deep, by_key,
                              {nullptr, 0, w.dprobabilities, kKeys});
  score_gradients<Isa>(run, run.logsumexp + head * run.logsumexp_head_stride, query, num_queries,
                       key, w);
  const BlockSize by_query{num_keys, h, num_queries, num_queries};
  float *dv = w.dv + key * h, *dk = w.dk + key * h, *dq = w.dq + query * h;
  pack_panels<Isa, Isa::kRows>(w.probabilities, 1, kKeys, num_keys, num_queries, w.panel);
  multiply_packed<Isa, float>(w.panel, w.douts_by_feature + query * wide, by_query, {dv, h, dv, h});
  pack_panels<Isa, Isa::kRows>(w.dscores, 1, kKeys, num_keys, num_queries, w.panel);
  multiply_packed<Isa, float>(w.panel, w.queries_by_feature + query * wide, by_query,
                              {dk, h, dk, h});
  pack_panels<Isa, Isa::kRows>(w.dscores, kKeys, 1, num_queries, num_keys, w.panel);
  multiply_packed<Isa, float>(w.panel, w.keys_by_feature + key * wide,
                              {num_queries, h, num_keys, block_keys}, {dq, h, dq, h});
}

template <class Isa>
void backward_head(const FlashRun& run, int64_t head, const BackwardWorkspace<Isa>& w) {
  for (int64_t key = 0; key < run.length; key += kKeys) {
    const int64_t newest = run.window > 0 ? key + kKeys + run.window - 1 : run.length;
    for (int64_t query = key / kQueries * kQueries; query < smaller(newest, run.length);
         query += kQueries) {
      backward_block<Isa>(run, head, query, key, w);
    }
  }
}

template <class Isa, class T>
void flash_backward(const FlashRun& run, float* workspace) {
  const BackwardWorkspace<Isa> w = backward_workspace<Isa>(run, workspace);
  const int64_t h = run.head_dim;
  const T *k = static_cast<const T*>(run.k), *v = static_cast<const T*>(run.v);
  pack_panels<Isa, Isa::kColumns>(k, run.row_stride, 1, run.length, h, w.keys);
  pack_panels<Isa, Isa::kColumns>(v, run.row_stride, 1, run.length, h, w.values);
  pack_by_feature<Isa>(k, run.row_stride, run, kKeys, w.keys_by_feature);
  for (int64_t i = 0; i < run.length * h; ++i) w.dk[i] = w.dv[i] = 0.0f;
  for (int64_t head = 0; head < run.num_query_heads; ++head) {
    pack_head<Isa, T>(run, head, w);
    backward_head<Isa>(run, head, w);
    for (int64_t t = 0; t < run.length; ++t) {
      store_row<T>(run.dq, t * run.row_stride + head * h, w.dq + t * h, h, 1.0f);
    }
  }
  for (int64_t t = 0; t < run.length; ++t) {
    store_row<T>(run.dk, t * run.row_stride, w.dk + t * h, h, 1.0f);
    store_row<T>(run.dv, t * run.row_stride, w.dv + t * h, h, 1.0f);
  }
}

}  // namespace
}  // namespace phalanx::kernels
