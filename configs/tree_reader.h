#pragma once
// Fills a configuration from a tree: the visitor that finds unknown, missing and ill-typed keys.
// Local. Keeps references to the tree and to the problems; both must outlive it.
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "configs/config_tree.h"
#include "configs/schema_visitor.h"

namespace phalanx {

/// Where the value of each path came from; sections and lists included, defaults left out.
using Origins = std::map<std::string, Origin>;

class TreeReader : public SchemaVisitor {
 public:
  /// `known_paths` are those of the whole schema (field_docs()), for "did you mean" elsewhere.
  TreeReader(const ConfigNode& root, std::vector<std::string> known_paths, Problems& problems);

  void field(const FieldInfo& info, const Value& value) override;
  void section(const FieldInfo& info, const std::function<void()>& declare) override;
  void list(const FieldInfo& info, const Entries& entries) override;
  void table(const FieldInfo& info, const Entries& entries) override;

  /// Reports the keys that nothing declared at the top of the file; call it last.
  void finish();

  const Origins& origins() const { return origins_; }

 private:
  struct Frame {
    const ConfigNode* node;  // kMap or kNull
    std::string path;
    std::vector<std::string> declared;
  };

  std::string path_of(const std::string& name) const;
  /// The value under `info.name`, or nullptr; reports a required one that is missing.
  const ConfigNode* look_up(const FieldInfo& info, const std::string& accepts);
  /// Runs `body` inside `node`, which must be a section or empty, then reports unknown keys.
  void within(const ConfigNode& node, const std::string& path, const std::function<void()>& body,
              bool names_are_free = false);
  void report_unknown(const Frame& frame);
  std::string hint(const Frame& frame, const std::string& key) const;

  std::vector<std::string> known_paths_;
  Problems& problems_;
  Origins origins_;
  const ConfigNode empty_{};  // stands for a file that is no section
  std::vector<Frame> frames_;
};

}  // namespace phalanx
