#pragma once
// Words of a configuration: what may be a name, and texts as YAML has them. Local, pure.
#include <string>

namespace phalanx {

/// Letters, digits, '_' and '-' (and '.', where allowed): names stand in paths and messages.
bool is_name(const std::string& text, bool dots_allowed);

/// A text that YAML reads back unchanged, quoted where it must be.
std::string quote_for_yaml(const std::string& text);

}  // namespace phalanx
