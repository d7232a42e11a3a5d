#include "configs/config_tree.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <tuple>

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

namespace phalanx {
namespace {

constexpr int kMaxDepth = 32;
constexpr int kMaxDocuments = 100;
constexpr int kMaxNodes = 100'000;  // an alias inside aliases multiplies

/// Passes over the events of a document.
class Ignored final : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t,
                const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}
};

/// At most kMaxDocuments: what belongs to no document makes the parser (and YAML::LoadAll()) find
/// empty ones for ever.
int num_documents(const std::string& text) {
  std::istringstream stream(text);
  YAML::Parser parser(stream);
  Ignored ignored;
  int found = 0;
  while (found < kMaxDocuments && parser.HandleNextDocument(ignored)) ++found;
  return found;
}

std::string join(std::string_view path, std::string_view key) {
  return path.empty() ? std::string(key) : fmt::format("{}.{}", path, key);
}

/// Copies yaml-cpp's nodes, which share and alias, into a plain tree.
class TreeBuilder {
 public:
  TreeBuilder(std::string source, Problems& problems)
      : source_(std::move(source)), problems_(problems) {}

  ConfigNode build(const YAML::Node& from, const std::string& path, const Origin& fallback,
                   int depth = 0) {
    ConfigNode node;
    node.origin = origin_of(from, fallback);
    if (depth > kMaxDepth || ++num_nodes_ > kMaxNodes) {
      if (!too_large_) problems_.add(node.origin, path, "too deeply nested or too many aliases");
      too_large_ = true;
      return node;
    }
    if (from.IsScalar()) {
      node.kind = ConfigNode::Kind::kScalar;
      node.text = from.Scalar();
      node.quoted = from.Tag() == "!";
    } else if (from.IsSequence()) {
      node.kind = ConfigNode::Kind::kList;
      for (std::size_t i = 0; i < from.size(); ++i) {
        node.items.push_back(
            build(from[i], fmt::format("{}[{}]", path, i), node.origin, depth + 1));
      }
    } else if (from.IsMap()) {
      node.kind = ConfigNode::Kind::kMap;
      for (const auto& pair : from) add_entry(node, pair.first, pair.second, path, depth);
    }
    return node;
  }

 private:
  Origin origin_of(const YAML::Node& node, const Origin& fallback) const {
    const YAML::Mark mark = node.Mark();
    // Nothing has no place of its own: the parser stands at the next key by then.
    if (source_ == kCommandLine || mark.is_null() || node.IsNull()) return fallback;
    return {source_, mark.line + 1, mark.column + 1};
  }

  void add_entry(ConfigNode& node, const YAML::Node& key, const YAML::Node& value,
                 const std::string& path, int depth) {
    const Origin origin = origin_of(key, node.origin);
    if (!key.IsScalar()) {
      problems_.add(origin, path, "expected a name as key");
      return;
    }
    const std::string& name = key.Scalar();
    if (const ConfigEntry* first = node.find(name)) {
      problems_.add(origin, join(path, name),
                    fmt::format("doubled key; first at {}", first->origin.text()));
      return;
    }
    node.entries.push_back({name, origin, build(value, join(path, name), origin, depth + 1)});
  }

  std::string source_;
  Problems& problems_;
  int num_nodes_ = 0;
  bool too_large_ = false;
};

struct Step {
  std::string name;  // empty: a list index
  std::optional<std::size_t> index;
};

/// `stages[0].mix.web` -> stages, 0, mix, web; nullopt when it is no path.
std::optional<std::vector<Step>> split_path(std::string_view path) {
  std::vector<Step> steps;
  while (true) {
    const std::size_t end = std::min(path.find_first_of(".["), path.size());
    if (end == 0) return std::nullopt;
    steps.push_back({std::string(path.substr(0, end)), std::nullopt});
    path.remove_prefix(end);
    while (path.starts_with('[')) {
      std::size_t index = 0;
      const char* last = path.data() + path.size();
      const auto [stop, error] = std::from_chars(path.data() + 1, last, index);
      if (error != std::errc() || stop == last || *stop != ']') return std::nullopt;
      steps.push_back({"", index});
      path.remove_prefix(static_cast<std::size_t>(stop - path.data()) + 1);
    }
    if (path.empty()) return steps;
    if (path.front() != '.') return std::nullopt;
    path.remove_prefix(1);
  }
}

/// The child that `step` names, made where a section lacks it; nullptr after reporting why not.
ConfigNode* descend(ConfigNode& node, const Step& step, const std::string& path,
                    Problems& problems) {
  const Origin origin{kCommandLine};
  if (step.index) {
    if (node.kind != ConfigNode::Kind::kList) {
      problems.add(origin, path, fmt::format("expected a list, found {}", describe_kind(node)));
      return nullptr;
    }
    if (*step.index >= node.items.size()) {
      problems.add(origin, path,
                   fmt::format("expected an index below {}, the length of the list, "
                               "got {}",
                               node.items.size(), *step.index));
      return nullptr;
    }
    return &node.items[*step.index];
  }
  if (node.kind == ConfigNode::Kind::kNull) node.kind = ConfigNode::Kind::kMap;
  if (node.kind != ConfigNode::Kind::kMap) {
    problems.add(origin, path,
                 fmt::format("expected a section that could hold '{}', found {}", step.name,
                             describe_kind(node)));
    return nullptr;
  }
  if (ConfigEntry* entry = node.find(step.name)) return &entry->value;
  node.entries.push_back({step.name, origin, {}});
  node.entries.back().value.origin = origin;
  return &node.entries.back().value;
}

}  // namespace

std::string Origin::text() const {
  if (source.empty()) return "default";
  return line == 0 ? source : fmt::format("{}:{}:{}", source, line, column);
}

const ConfigEntry* ConfigNode::find(std::string_view key) const {
  const auto same = [key](const ConfigEntry& entry) { return entry.key == key; };
  const auto found = std::find_if(entries.begin(), entries.end(), same);
  return found == entries.end() ? nullptr : &*found;
}

ConfigEntry* ConfigNode::find(std::string_view key) {
  return const_cast<ConfigEntry*>(static_cast<const ConfigNode*>(this)->find(key));
}

void Problems::add(const Origin& origin, std::string_view path, std::string_view message) {
  std::string line = origin.source.empty() ? "" : origin.text() + ": ";
  if (!path.empty()) line += fmt::format("{}: ", path);
  problems_.push_back({origin, line + std::string(message)});
}

void Problems::throw_if_any() const {
  if (problems_.empty()) return;
  std::vector<Problem> sorted = problems_;
  std::stable_sort(sorted.begin(), sorted.end(), [](const Problem& a, const Problem& b) {
    const auto key = [](const Problem& p) {
      return std::make_tuple(p.origin.source == kCommandLine, p.origin.line, p.origin.column);
    };
    return key(a) < key(b);
  });
  std::string text;
  for (const Problem& problem : sorted) {
    if (!text.empty()) text += '\n';
    text += problem.line;
  }
  throw std::invalid_argument(text);
}

ConfigNode parse_yaml(const std::string& text, const std::string& source, Problems& problems) {
  const Origin start{source, source == kCommandLine ? 0 : 1, 1};
  ConfigNode empty;
  empty.origin = start;
  try {
    if (const int found = num_documents(text); found > 1) {
      problems.add(start, "",
                   fmt::format("expected one YAML document, got {}{}", found,
                               found == kMaxDocuments ? " or more" : ""));
      return empty;
    }
    return TreeBuilder(source, problems).build(YAML::Load(text), "", start);
  } catch (const YAML::Exception& error) {
    Origin origin = start;
    if (!error.mark.is_null() && start.line != 0) {
      origin = {source, error.mark.line + 1, error.mark.column + 1};
    }
    problems.add(origin, "", fmt::format("not YAML: {}", error.msg));
    return empty;
  }
}

void apply_override(ConfigNode& root, std::string_view assignment, Problems& problems) {
  const Origin origin{kCommandLine};
  const std::size_t equals = assignment.find('=');
  const std::string path(assignment.substr(0, equals));
  const auto steps = equals == std::string_view::npos ? std::nullopt : split_path(path);
  if (!steps) {
    problems.add(origin, "",
                 fmt::format("expected key=value (like optimizer.weight_decay=0 or "
                             "stages[0].phases[1].mix.web=0.25), got '{}'",
                             assignment));
    return;
  }
  ConfigNode* node = &root;
  for (const Step& step : *steps) {
    node = descend(*node, step, path, problems);
    if (node == nullptr) return;
  }
  Problems of_value;
  *node = parse_yaml(std::string(assignment.substr(equals + 1)), kCommandLine, of_value);
  if (!of_value.empty()) {
    problems.add(origin, path,
                 fmt::format("expected a value in YAML, got '{}'", assignment.substr(equals + 1)));
  }
}

std::string describe_kind(const ConfigNode& node) {
  switch (node.kind) {
    case ConfigNode::Kind::kNull:
      return "nothing";
    case ConfigNode::Kind::kScalar:
      return fmt::format("'{}'", node.text);
    case ConfigNode::Kind::kMap:
      return "a section";
    case ConfigNode::Kind::kList:
      return "a list";
  }
  return "nothing";
}

}  // namespace phalanx
