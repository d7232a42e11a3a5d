#include "trainer/planner/rank_parameters.h"

#include <algorithm>

#include "parallel/parameters.h"
#include "parallel/shard_spec.h"

namespace phalanx {

int64_t used_parameters(const Phi4Config& shape, int64_t tensor_parallel_size) {
  const int64_t parts = tensor_parallel_size;
  Phi4Config share = shape;
  share.vocab_size = split_range(shape.vocab_size, parts, 0).size();
  share.intermediate_size = split_range(shape.intermediate_size, parts, 0).size();
  share.num_attention_heads = shape.num_attention_heads / parts;
  share.num_key_value_heads = 0;
  for (int64_t part = 0; part < parts; ++part) {
    const HeadSplit heads =
        split_heads(shape.num_attention_heads, shape.num_key_value_heads, parts, part);
    share.num_key_value_heads = std::max(share.num_key_value_heads, heads.key_value.size());
  }
  return num_parameters(share);
}

std::vector<BucketSize> bucket_sizes(const Phi4Config& shape, const MeshSize& mesh) {
  const int64_t parts = mesh.tensor_parallel, d = shape.hidden_size;
  const HeadSplit heads =
      split_heads(shape.num_attention_heads, shape.num_key_value_heads, parts, 0);
  const int64_t query = heads.query.size() * shape.head_dim;
  const int64_t key_value = heads.key_value.size() * shape.head_dim;
  const int64_t f = split_range(shape.intermediate_size, parts, 0).size();
  const int64_t vocabulary = split_range(shape.vocab_size, parts, 0).size() * d;
  const int64_t layers = shape.num_hidden_layers;

  int64_t layer = d * (2 * query + 3 * f), shared = (2 * layers + 1) * d;
  if (heads.key_value_divides) {
    layer += 2 * d * key_value;
  } else {
    shared += 2 * layers * d * shape.key_value_size();
  }
  std::vector<BucketSize> buckets = {{vocabulary, false}, {shared, true}};
  buckets.insert(buckets.end(), static_cast<size_t>(layers), {layer, false});
  if (!shape.tie_word_embeddings) buckets.push_back({vocabulary, false});
  const int64_t unit = kBucketAlignment * mesh.data_parallel;
  for (BucketSize& bucket : buckets) bucket.numel = (bucket.numel + unit - 1) / unit * unit;
  return buckets;
}

StoredParameters stored_parameters(const Phi4Config& shape, const MeshSize& mesh) {
  StoredParameters stored;
  for (const BucketSize& bucket : bucket_sizes(shape, mesh)) {
    stored.numel += bucket.numel;
    stored.largest_bucket = std::max(stored.largest_bucket, bucket.numel);
    ++stored.num_buckets;
    if (bucket.summed_over_tp) stored.shared += bucket.numel;
  }
  return stored;
}

}  // namespace phalanx
