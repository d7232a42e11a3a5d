#pragma once
// The entries of a list, or of a table by name, as a declaration hands them to a visitor. Local;
// the container must outlive the Entries.
#include <cstddef>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "configs/schema_visitor.h"

namespace phalanx {

inline constexpr char kNamePlaceholder[] = "<name>";

/// Entries of a list need no name.
template <class T>
void set_name(T& entry, const std::string& name) {
  if constexpr (requires { entry.name; }) entry.name = name;
}

template <class T, class Declare>
Entries entries_of(std::vector<T>& items, Declare declare) {
  return {[&items] { return items.size(); },
          [&items](const std::string& name) {
            items.emplace_back();
            set_name(items.back(), name);
          },
          [&items, declare](SchemaVisitor& v, std::size_t i) { declare(v, items[i]); },
          [declare](SchemaVisitor& v) {
            T prototype;
            set_name(prototype, kNamePlaceholder);
            declare(v, prototype);
          }};
}

template <class T, class Declare>
Entries entries_of(std::map<std::string, T>& items, Declare declare) {
  return {[&items] { return items.size(); }, [&items](const std::string& name) { items[name]; },
          [&items, declare](SchemaVisitor& v, std::size_t i) {
            const auto entry = std::next(items.begin(), static_cast<std::ptrdiff_t>(i));
            declare(v, entry->first, entry->second);
          },
          [declare](SchemaVisitor& v) {
            T prototype{};
            declare(v, kNamePlaceholder, prototype);
          }};
}

}  // namespace phalanx
