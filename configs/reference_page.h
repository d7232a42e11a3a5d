#pragma once
// The page configs/REFERENCE.md: every field of a configuration as field_docs() has it. Local,
// pure.
#include <string>

namespace phalanx {

/// Markdown. `phalanx config --reference` prints it, and a test compares the page with it.
[[nodiscard]] std::string reference_page();

}  // namespace phalanx
