#pragma once
// How a configuration is declared: schema.cc names each field once, and a visitor does with the
// declaration what it is for: read it from YAML, write it back, list it, explain it.
// Local. A declaration refers to the struct it fills, so it lives no longer than that struct.
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "configs/config_tree.h"

namespace phalanx {

/// What a resume may do with a field (data/mixture/SEMANTICS.md, section 9).
enum class Tag {
  kFixed,      // another value is an error that shows both
  kResumable,  // may change; what follows is computed otherwise
  kRounding,   // kResumable, but kFixed between runs with reproducible: dp_invariant
  kFree,       // changes no result
};

struct FieldInfo {
  std::string name;
  std::string doc;
  Tag tag = Tag::kFree;
  bool required = false;
  std::string default_text = {};  // where the default follows from other fields
  bool gives_others = false;      // its value gives the required fields of its section
};

/// One scalar: the text it accepts, and ways from and to YAML.
struct Value {
  std::string accepts;                          // "a whole number >= 1"
  std::function<void(const ConfigNode&)> read;  // std::invalid_argument: "expected ..., got ..."
  std::function<std::optional<std::string>()> write;  // nullopt: not set
  std::function<std::string()> schema;  // of what is accepted, as JSON Schema (value_schema.h)
};

/// The entries of a list, or of a section whose keys are the user's names.
struct Entries;

class SchemaVisitor {
 public:
  virtual ~SchemaVisitor() = default;
  virtual void field(const FieldInfo& info, const Value& value) = 0;
  virtual void section(const FieldInfo& info, const std::function<void()>& declare) = 0;
  /// `entries.visit` declares the fields of an entry, directly.
  virtual void list(const FieldInfo& info, const Entries& entries) = 0;
  /// `entries.visit` declares the entry itself, under its name.
  virtual void table(const FieldInfo& info, const Entries& entries) = 0;
};

struct Entries {
  std::function<std::size_t()> size;
  std::function<void(const std::string& name)> add;  // lists: the name is empty
  std::function<void(SchemaVisitor&, std::size_t)> visit;
  std::function<void(SchemaVisitor&)> visit_prototype;  // one entry of no particular name
};

/// The paths of a walk: `stages[0].phases[1].mix.web`.
class PathVisitor : public SchemaVisitor {
 public:
  void section(const FieldInfo& info, const std::function<void()>& declare) override;
  void list(const FieldInfo& info, const Entries& entries) override;
  void table(const FieldInfo& info, const Entries& entries) override;

 protected:
  std::string path_of(const std::string& name) const;
  /// Runs `body` one level deeper.
  void within(const std::string& path, const std::function<void()>& body);

 private:
  std::string path_;
};

}  // namespace phalanx
