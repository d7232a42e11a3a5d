#pragma once
// The declaration of data.store, and the values of where a data set lies. Local.
#include "configs/schema_visitor.h"
#include "data/mixture/curriculum_config.h"

namespace phalanx {

void declare_store(SchemaVisitor& v, StoreSettings& c);

/// A folder or a URL, or a list of URLs: `path` and `mirrors` of the source.
[[nodiscard]] Value places_value(SourceConfig& source);

/// Bytes with a unit: `64GiB`.
[[nodiscard]] Value bytes_value(int64_t& variable);

}  // namespace phalanx
