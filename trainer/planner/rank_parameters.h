#pragma once
// How many parameters the fullest rank of a mesh holds, by counting, without a mesh: the buckets
// that ParameterSet (parallel/parameters.h) makes of the model, padding included. The first part of
// what is split by ceiling is the largest, so the fullest rank is the first.
// Pure arithmetic, local. Errors: std::invalid_argument when the query heads do not divide by the
// tensor-parallel size.
#include <cstdint>
#include <vector>

#include "model/phi4_config.h"

namespace phalanx {

struct MeshSize {
  int64_t tensor_parallel = 1, data_parallel = 1;

  int64_t num_ranks() const { return tensor_parallel * data_parallel; }
  bool operator==(const MeshSize&) const = default;
};

/// Parameters that the rank computes with: of key-value heads that do not divide, those it uses.
int64_t used_parameters(const Phi4Config& shape, int64_t tensor_parallel_size);

/// Elements of one bucket, a multiple of kBucketAlignment times the replicas.
struct BucketSize {
  int64_t numel = 0;
  bool summed_over_tp = false;
};

/// What the rank stores, in the order of the model's declarations.
std::vector<BucketSize> bucket_sizes(const Phi4Config& shape, const MeshSize& mesh);

struct StoredParameters {
  int64_t numel = 0;           // of all buckets
  int64_t largest_bucket = 0;  // elements
  int64_t num_buckets = 0;
  int64_t shared = 0;  // of the bucket that is summed over tp
};

StoredParameters stored_parameters(const Phi4Config& shape, const MeshSize& mesh);

}  // namespace phalanx
