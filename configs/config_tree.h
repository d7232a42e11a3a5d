#pragma once
// The tree of a run's YAML with the place every part came from, before anyone gives it a meaning.
// Local, pure; values own their text. Doubled keys, which yaml-cpp keeps, are found here.
// Errors are collected in Problems and thrown together as one std::invalid_argument.
#include <string>
#include <string_view>
#include <vector>

namespace phalanx {

/// The source of overrides.
inline constexpr char kCommandLine[] = "command line";

/// Where a value was written; `line` 0 means no line (command line, default).
struct Origin {
  std::string source;        // file name, "command line", or empty: default
  int line = 0;              // from 1
  int column = 0;            // from 1
  std::string text() const;  // "run.yaml:12:5", "command line", "default"
};

struct ConfigEntry;

struct ConfigNode {
  enum class Kind { kNull, kScalar, kMap, kList };
  Kind kind = Kind::kNull;
  std::string text;                  // kScalar
  bool quoted = false;               // "4096" in quotes is text, not a number
  std::vector<ConfigEntry> entries;  // kMap, in the file's order
  std::vector<ConfigNode> items;     // kList
  Origin origin;

  const ConfigEntry* find(std::string_view key) const;
  ConfigEntry* find(std::string_view key);
};

struct ConfigEntry {
  std::string key;
  Origin origin;  // of the key
  ConfigNode value;
};

/// Errors of one reading, in the order of the file; those of the command line come last.
class Problems {
 public:
  void add(const Origin& origin, std::string_view path, std::string_view message);
  bool empty() const { return problems_.empty(); }
  void throw_if_any() const;  // one line each

 private:
  struct Problem {
    Origin origin;
    std::string line;
  };
  std::vector<Problem> problems_;
};

/// Parses one YAML document. `source` names it in messages.
ConfigNode parse_yaml(const std::string& text, const std::string& source, Problems& problems);

/// Puts `optimizer.weight_decay=0` or `stages[0].phases[1].mix.web=0.25` into the tree; the value
/// is read as YAML. Whether the field exists is for the reader to say, which knows the names.
void apply_override(ConfigNode& root, std::string_view assignment, Problems& problems);

/// "expected a section, got ...": what stands there, for messages.
std::string describe_kind(const ConfigNode& node);

}  // namespace phalanx
