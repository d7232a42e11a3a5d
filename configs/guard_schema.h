#pragma once
// The sections of a run that say what guards it: `watchdog` and `numbers`. Local.
#include "configs/schema_visitor.h"
#include "trainer/run_config.h"

namespace phalanx {

void declare_guards(SchemaVisitor& v, RunConfig& c);

}  // namespace phalanx
