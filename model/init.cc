#include "model/init.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>

#include "model/kernels/normal_fill.h"
#include "parallel/kernels/keyed_bits.h"

namespace phalanx {

at::Tensor initial_value(const Parameter& parameter, const Phi4Config& config, uint64_t seed,
                         at::Device device) {
  const ShardSpec& spec = parameter.spec;
  const auto fp32 = at::TensorOptions(device).dtype(at::kFloat);
  if (spec.full_shape.size() == 1) return at::ones(spec.stored_shape(), fp32);
  at::Tensor value_RC = at::empty(spec.stored_shape(), fp32);
  LogicalWindow window;
  (spec.dim == 0 ? window.first_row : window.first_column) = spec.stored().begin;
  window.full_columns = spec.full_shape[1];
  normal_fill_(value_RC, window, named_key(parameter.name, seed),
               static_cast<float>(config.initializer_range));
  return value_RC;
}

}  // namespace phalanx
