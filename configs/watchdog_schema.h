#pragma once
// The section `watchdog` of a run. Local.
#include "configs/schema_visitor.h"
#include "trainer/run_config.h"

namespace phalanx {

void declare_watchdog(SchemaVisitor& v, WatchdogConfig& c);

}  // namespace phalanx
