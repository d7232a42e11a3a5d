#pragma once
// The part of the schema (schema.h) that describes the model. Local, pure.
#include "configs/schema_visitor.h"
#include "model/phi4_config.h"
#include "trainer/run_config.h"

namespace phalanx {

void declare_model(SchemaVisitor& visitor, ModelConfig& config);

/// A preset of configs/model/: the shape.
void declare_preset(SchemaVisitor& visitor, Phi4Config& shape);

}  // namespace phalanx
