#pragma once
// The model of 36M parameters that the measurements on CPU share.
#include "model/phi4.h"

namespace phalanx {

inline Phi4Config bench_shape() {
  Phi4Config shape;
  shape.vocab_size = 8192;
  shape.hidden_size = 512;
  shape.intermediate_size = 1792;
  shape.num_hidden_layers = 8;
  shape.num_attention_heads = 8;
  shape.num_key_value_heads = 2;
  shape.head_dim = 64;
  return shape;
}

}  // namespace phalanx
