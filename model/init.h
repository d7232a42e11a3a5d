#pragma once
// Random initial weights, keyed by parameter name and logical element: they depend on the seed and
// the name alone, never on the mesh, and only the stored part is drawn. Matrices are normal with
// deviation initializer_range, norms are one (the initialisation of Phi3PreTrainedModel).
// Local, on the device of the parameters.
#include <cstdint>
#include <functional>
#include <string>

#include "model/phi4_config.h"
#include "parallel/parameters.h"

namespace phalanx {

/// Initial value of the stored part of one parameter: fp32, shape stored_shape().
at::Tensor initial_value(const Parameter& parameter, const Phi4Config& config, uint64_t seed,
                         at::Device device);

}  // namespace phalanx
