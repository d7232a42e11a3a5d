#pragma once
// The section `logging`: what a run says of itself. Local.
#include "configs/schema_visitor.h"
#include "trainer/run_config.h"

namespace phalanx {

void declare_logging(SchemaVisitor& v, LoggingConfig& c);

}  // namespace phalanx
