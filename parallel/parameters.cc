#include "parallel/parameters.h"

#include <ATen/ops/zeros.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <functional>
#include <numeric>

namespace phalanx {
namespace {

int64_t product(const std::vector<int64_t>& shape) {
  return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
}

Bucket& find_or_add(std::vector<Bucket>& buckets, const std::string& name) {
  const auto found = std::find_if(buckets.begin(), buckets.end(),
                                  [&](const Bucket& bucket) { return bucket.name == name; });
  if (found != buckets.end()) return *found;
  Bucket& bucket = buckets.emplace_back();
  bucket.name = name;
  return bucket;
}

}  // namespace

const at::Tensor& Parameter::ready() const {
  if (home != nullptr) home->finish_gather();
  return weight;
}

void Bucket::finish_gather() {
  if (!gather) return;
  gather->wait();
  gather.reset();
}

Parameter& ParameterSet::declare(const std::string& name, const ShardSpec& spec,
                                 const std::string& bucket_name, bool decay) {
  const bool summed_over_tp = spec.role != ParamRole::kSharded;
  Bucket& bucket = find_or_add(buckets_, summed_over_tp ? "shared" : bucket_name);
  auto parameter = std::make_unique<Parameter>();
  parameter->name = name;
  parameter->spec = spec;
  parameter->decay = decay;
  parameter->bucket = &bucket - buckets_.data();
  parameter->offset = bucket.numel;
  parameter->numel = product(spec.stored_shape());
  bucket.numel += parameter->numel;
  bucket.summed_over_tp = summed_over_tp;
  bucket.parameters.push_back(parameter.get());
  return *parameters_.emplace_back(std::move(parameter));
}

void ParameterSet::allocate(at::ScalarType dtype, at::Device device, int64_t replicas,
                            at::ScalarType grad_dtype) {
  allocate_weights(dtype, device, replicas);
  for (Bucket& bucket : buckets_) {
    bucket.grads = at::zeros({bucket.padded_numel}, at::TensorOptions(device).dtype(grad_dtype));
    for (Parameter* parameter : bucket.parameters) {
      parameter->grad = used_view(*parameter, stored_view(*parameter, bucket.grads));
    }
  }
}

void ParameterSet::allocate_weights(at::ScalarType dtype, at::Device device, int64_t replicas) {
  const int64_t unit = kBucketAlignment * replicas;
  for (Bucket& bucket : buckets_) {
    TORCH_INTERNAL_ASSERT(!bucket.weights.defined(), "allocate() was called twice");
    bucket.padded_numel = (bucket.numel + unit - 1) / unit * unit;
    bucket.weights = at::zeros({bucket.padded_numel}, at::TensorOptions(device).dtype(dtype));
    for (Parameter* parameter : bucket.parameters) {
      parameter->weight = used_view(*parameter, stored_view(*parameter, bucket.weights));
      parameter->home = &bucket;
    }
  }
}

at::Tensor stored_view(const Parameter& parameter, const at::Tensor& flat) {
  return flat.narrow(0, parameter.offset, parameter.numel).view(parameter.spec.stored_shape());
}

at::Tensor used_view(const Parameter& parameter, const at::Tensor& stored) {
  const ShardSpec& spec = parameter.spec;
  return stored.narrow(spec.dim, spec.used.begin - spec.stored().begin, spec.used.size());
}

at::Tensor side_by_side(const std::vector<at::Tensor>& matrices) {
  const at::Tensor& first = matrices.front();
  int64_t rows = 0;
  for (const at::Tensor& matrix : matrices) {
    const int64_t expected_offset = first.storage_offset() + rows * first.size(1);
    if (!matrix.is_alias_of(first) || matrix.storage_offset() != expected_offset) return {};
    rows += matrix.size(0);
  }
  return first.as_strided({rows, first.size(1)}, first.strides(), first.storage_offset());
}

}  // namespace phalanx
