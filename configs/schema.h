#pragma once
// Every field of a run's configuration, declared once: name, meaning, tag, what it accepts and
// the variable it fills. Defaults are those of the structs. Local.
#include "configs/schema_visitor.h"
#include "trainer/run_config.h"

namespace phalanx {

/// The whole file. The configuration must start from default values (empty lists).
void declare_run(SchemaVisitor& visitor, RunConfig& config);

}  // namespace phalanx
