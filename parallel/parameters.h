#pragma once
// The parameters of one rank, laid out flat: each bucket is one run of weights in the compute dtype
// and one run of gradients (fp32, or bf16) with the same offsets, so that a bucket is one
// reduce-scatter, one optimizer pass and one all-gather over the data-parallel axis (ZeRO-1, arXiv
// 1910.02054). The gather runs while the next forward pass has begun: who reads a weight asks for
// ready(). Local: nothing here starts a collective. Ownership: ParameterSet owns the flat tensors,
// Parameter objects hold views and live as long as the set; declare() order is the same on all
// ranks.
#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <vector>

#include "parallel/communicator.h"
#include "parallel/products.h"
#include "parallel/shard_spec.h"

namespace phalanx {

struct Bucket;

struct Parameter {
  /// The weight, once the gather of its bucket, where one is under way, has brought it.
  const at::Tensor& ready() const;

  std::string name;  // logical name, as in a checkpoint: `layers.0.attention.q.weight`
  ShardSpec spec;
  bool decay = true;                       // weight decay applies
  Products products = Products::kCompute;  // of the linear layer that it belongs to
  int64_t uses = 1;  // gradient contributions in one backward pass (2: tied embedding)
  int64_t bucket = 0;
  int64_t offset = 0;      // of the stored part in the bucket, in elements
  int64_t numel = 0;       // of the stored part
  at::Tensor weight;       // view, used part, compute dtype; see ready()
  at::Tensor grad;         // view, used part, fp32 or bf16
  Bucket* home = nullptr;  // the bucket, from allocate() on
};

/// Parameters whose gradients become ready together. Offsets do not depend on the number of
/// replicas; only the padding at the end does.
struct Bucket {
  std::string name;
  bool summed_over_tp = false;  // holds replicated and shared tensors, laid out alike on all ranks
  int64_t numel = 0;            // used elements
  int64_t padded_numel = 0;     // a multiple of kBucketAlignment * replicas
  std::vector<Parameter*> parameters;
  at::Tensor weights;  // flat, compute dtype, padded_numel
  at::Tensor grads;    // flat, fp32 or bf16, padded_numel
  WorkHandle gather;   // of weights, under way; null: they are there

  /// Waits for the gather under way, if there is one.
  void finish_gather();
};

/// Shares of a bucket start at multiples of this many elements.
inline constexpr int64_t kBucketAlignment = 4096;

class ParameterSet {
 public:
  /// `linear_products`: how linear layers multiply by what they declare here.
  explicit ParameterSet(Products linear_products = Products::kCompute)
      : linear_products_(linear_products) {}
  ParameterSet(const ParameterSet&) = delete;
  ParameterSet& operator=(const ParameterSet&) = delete;

  /// Adds a parameter. Sharded ones go to the bucket `bucket_name`, the others to the bucket
  /// "shared". Adjacent declarations of one bucket lie adjacent in memory. The reference is stable.
  Parameter& declare(const std::string& name, const ShardSpec& spec, const std::string& bucket_name,
                     bool decay);

  /// Makes the flat tensors, zeroed, for `replicas` data-parallel ranks. Called once.
  void allocate(at::ScalarType dtype, at::Device device, int64_t replicas,
                at::ScalarType grad_dtype = at::kFloat);
  /// The same without gradients, for a model that is only run forward.
  void allocate_weights(at::ScalarType dtype, at::Device device, int64_t replicas = 1);

  std::vector<Bucket>& buckets() { return buckets_; }
  const std::vector<Bucket>& buckets() const { return buckets_; }
  const std::vector<std::unique_ptr<Parameter>>& parameters() const { return parameters_; }
  Products linear_products() const { return linear_products_; }

 private:
  Products linear_products_;
  std::vector<std::unique_ptr<Parameter>> parameters_;
  std::vector<Bucket> buckets_;
};

/// View of `flat` at parameter's stored part (shape stored_shape).
at::Tensor stored_view(const Parameter& parameter, const at::Tensor& flat);
/// The used part of a stored view.
at::Tensor used_view(const Parameter& parameter, const at::Tensor& stored);
/// Matrices of one width as one with all their rows, when they lie one after another in memory;
/// else an undefined tensor.
at::Tensor side_by_side(const std::vector<at::Tensor>& matrices);

}  // namespace phalanx
