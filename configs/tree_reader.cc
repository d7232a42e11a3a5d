#include "configs/tree_reader.h"

#include <algorithm>
#include <optional>
#include <stdexcept>

#include <fmt/format.h>

#include "configs/suggest.h"
#include "configs/values.h"

namespace phalanx {
namespace {

std::string last_name(const std::string& path) { return path.substr(path.rfind('.') + 1); }

}  // namespace

TreeReader::TreeReader(const ConfigNode& root, std::vector<std::string> known_paths,
                       Problems& problems)
    : known_paths_(std::move(known_paths)), problems_(problems) {
  const bool is_section =
      root.kind == ConfigNode::Kind::kMap || root.kind == ConfigNode::Kind::kNull;
  if (!is_section) {
    problems_.add(root.origin, "", "expected keys with values, found " + describe_kind(root));
  }
  frames_.push_back({is_section ? &root : &empty_, "", {}});
}

std::string TreeReader::path_of(const std::string& name) const {
  const std::string& path = frames_.back().path;
  return path.empty() ? name : path + "." + name;
}

const ConfigNode* TreeReader::look_up(const FieldInfo& info, const std::string& accepts) {
  Frame& frame = frames_.back();
  frame.declared.push_back(info.name);
  const ConfigEntry* entry = frame.node->find(info.name);
  if (entry == nullptr) {
    if (info.required) {
      problems_.add(frame.node->origin, path_of(info.name),
                    fmt::format("missing; expected {}", accepts));
    }
    return nullptr;
  }
  origins_[path_of(info.name)] = entry->value.origin;
  return &entry->value;
}

void TreeReader::field(const FieldInfo& info, const Value& value) {
  const ConfigNode* node = look_up(info, value.accepts);
  if (node == nullptr) return;
  try {
    value.read(*node);
  } catch (const std::invalid_argument& error) {
    problems_.add(node->origin, path_of(info.name), error.what());
  }
}

void TreeReader::within(const ConfigNode& node, const std::string& path,
                        const std::function<void()>& body, bool names_are_free) {
  const bool is_section =
      node.kind == ConfigNode::Kind::kMap || node.kind == ConfigNode::Kind::kNull;
  if (!is_section) {
    problems_.add(node.origin, path, "expected a section, got " + describe_kind(node));
    return;
  }
  frames_.push_back({&node, path, {}});
  body();
  if (!names_are_free) report_unknown(frames_.back());
  frames_.pop_back();
}

void TreeReader::section(const FieldInfo& info, const std::function<void()>& declare) {
  const std::string path = path_of(info.name);
  const ConfigNode* node = look_up(info, "a section");
  if (node != nullptr) return within(*node, path, declare);
  ConfigNode absent;
  absent.origin = frames_.back().node->origin;  // so that what is missing in it has a place
  within(absent, path, declare);
}

void TreeReader::list(const FieldInfo& info, const Entries& entries) {
  const std::string path = path_of(info.name);
  const ConfigNode* node = look_up(info, "a list");
  if (node == nullptr) return;
  if (node->kind != ConfigNode::Kind::kList) {
    problems_.add(node->origin, path, "expected a list, got " + describe_kind(*node));
    return;
  }
  if (info.required && node->items.empty()) {
    problems_.add(node->origin, path, "expected at least one entry, got an empty list");
  }
  for (std::size_t i = 0; i < node->items.size(); ++i) {
    entries.add("");
    const std::string item_path = fmt::format("{}[{}]", path, i);
    origins_[item_path] = node->items[i].origin;
    within(node->items[i], item_path, [&] { entries.visit(*this, i); });
  }
}

void TreeReader::table(const FieldInfo& info, const Entries& entries) {
  const std::string path = path_of(info.name);
  const ConfigNode* node = look_up(info, "a section with at least one entry");
  if (node == nullptr) return;
  if (info.required && node->entries.empty() && node->kind != ConfigNode::Kind::kScalar) {
    problems_.add(node->origin, path,
                  "expected a section with at least one entry, got " +
                      (node->kind == ConfigNode::Kind::kMap ? "none" : describe_kind(*node)));
    return;
  }
  const auto visit_all = [&] {
    for (const ConfigEntry& entry : node->entries) {
      if (!is_name(entry.key, false)) {
        problems_.add(
            entry.origin, path,
            fmt::format("expected a name (letters, digits, '_', '-'), got '{}'", entry.key));
        continue;
      }
      entries.add(entry.key);
    }
    for (std::size_t i = 0; i < entries.size(); ++i) entries.visit(*this, i);
  };
  within(*node, path, visit_all, /*names_are_free=*/true);
}

void TreeReader::report_unknown(const Frame& frame) {
  for (const ConfigEntry& entry : frame.node->entries) {
    const auto& names = frame.declared;
    if (std::find(names.begin(), names.end(), entry.key) != names.end()) continue;
    const std::string path = frame.path.empty() ? entry.key : frame.path + "." + entry.key;
    problems_.add(entry.origin, path, "unknown key; " + hint(frame, entry.key));
  }
}

std::string TreeReader::hint(const Frame& frame, const std::string& key) const {
  if (const auto foreign = hint_for_foreign_name(key)) return *foreign;
  if (const auto near = nearest(key, frame.declared)) {
    return fmt::format("did you mean '{}'?", *near);
  }
  for (const std::string& path : known_paths_) {
    if (last_name(path) == key) return fmt::format("did you mean '{}'?", path);
  }
  std::string known;
  for (const std::string& name : frame.declared) known += (known.empty() ? "" : ", ") + name;
  return "known here: " + known;
}

void TreeReader::finish() { report_unknown(frames_.front()); }

}  // namespace phalanx
