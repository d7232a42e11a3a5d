#include "configs/read_config.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <system_error>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "configs/field_list.h"
#include "configs/model_schema.h"
#include "configs/rules.h"
#include "configs/schema.h"
#include "configs/suggest.h"

namespace phalanx {
namespace {

constexpr std::size_t kMaxFileBytes = std::size_t{1} << 20;

std::string read_text(const std::string& path) {
  const auto fail = [&path](int code) -> std::string {
    throw std::system_error(code, std::generic_category(), "cannot read " + path);
  };
  const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path.c_str(), "rb"), std::fclose);
  if (file == nullptr) return fail(errno);
  std::string text;
  char buffer[1 << 16];
  while (const std::size_t got = std::fread(buffer, 1, sizeof buffer, file.get())) {
    text.append(buffer, got);
    if (text.size() > kMaxFileBytes) {
      throw std::invalid_argument(
          fmt::format("{}: expected a configuration of at most {} bytes", path, kMaxFileBytes));
    }
  }
  if (std::ferror(file.get())) return fail(errno);
  return text;
}

std::string unknown_preset(const std::string& name, const std::vector<std::string>& known) {
  const auto near = nearest(name, known);
  return fmt::format("expected one of {}, got '{}'{}", fmt::join(known, ", "), name,
                     near ? fmt::format("; did you mean '{}'?", *near) : "");
}

ConfigNode preset_tree(const std::string& config_dir, const std::string& name, Problems& problems) {
  const std::string path = fmt::format("{}/model/{}.yaml", config_dir, name);
  return parse_yaml(read_text(path), "preset " + name, problems);
}

void set_default_head_dim(Phi4Config& shape) {
  if (shape.head_dim != 0) return;
  const int64_t heads = std::max<int64_t>(1, shape.num_attention_heads);
  shape.head_dim = std::max<int64_t>(1, shape.hidden_size / heads);
}

Phi4Config read_preset_tree(const ConfigNode& tree, Problems& problems) {
  Phi4Config shape;
  shape.head_dim = 0;
  TreeReader reader(tree, {}, problems);
  declare_preset(reader, shape);
  reader.finish();
  set_default_head_dim(shape);
  return shape;
}

/// Names of the fields of a model's shape; with `required`, only those without a default.
std::vector<std::string> shape_names(bool required) {
  std::vector<std::string> names;
  for (const FieldDoc& doc : field_docs()) {
    const bool of_shape = doc.path.starts_with("model.") && doc.path != "model.preset" &&
                          doc.path != "model.seed" && doc.path != "model.init_from";
    if (of_shape && (!required || doc.default_text == "required")) {
      names.push_back(doc.path.substr(std::string_view("model.").size()));
    }
  }
  return names;
}

std::size_t num_present(const ConfigNode& model, const std::vector<std::string>& names) {
  return static_cast<std::size_t>(std::count_if(
      names.begin(), names.end(), [&](const std::string& n) { return model.find(n) != nullptr; }));
}

/// One message instead of one for each field of the shape, which are filled so that the reader
/// has nothing more to say of them; nothing is built from a configuration with problems.
void report_no_model(ConfigNode& root, ConfigEntry* model, const std::string& config_dir,
                     Problems& problems) {
  const std::vector<std::string> required = shape_names(true);
  problems.add(model == nullptr ? root.origin : model->value.origin, "model",
               fmt::format("expected a preset ({}) or the fields of a model ({})",
                           fmt::join(preset_names(config_dir), ", "), fmt::join(required, ", ")));
  if (model == nullptr) {
    root.entries.push_back({"model", root.origin, {}});
    model = &root.entries.back();
  }
  model->value.kind = ConfigNode::Kind::kMap;
  for (const std::string& name : required) {
    model->value.entries.push_back({name, model->value.origin, {}});
    ConfigNode& value = model->value.entries.back().value;
    value.kind = ConfigNode::Kind::kScalar;
    value.text = "1";
  }
}

/// Puts the preset's fields under those that the file or the command line give. Returns the preset,
/// if one counts.
std::optional<Phi4Config> apply_preset(ConfigNode& root, const ConfigRequest& request,
                                       Problems& problems) {
  using Kind = ConfigNode::Kind;
  if (root.kind != Kind::kMap && root.kind != Kind::kNull) return std::nullopt;
  root.kind = Kind::kMap;
  ConfigEntry* model = root.find("model");
  const ConfigEntry* preset = model == nullptr ? nullptr : model->value.find("preset");
  if (preset == nullptr) {
    const bool absent =
        model == nullptr || model->value.kind == Kind::kNull ||
        (model->value.kind == Kind::kMap && num_present(model->value, shape_names(true)) == 0);
    if (absent) report_no_model(root, model, request.config_dir, problems);
    return std::nullopt;
  }
  const std::vector<std::string> names = shape_names(false);
  // A stored configuration has every field that there was and stays readable when presets change or
  // go: it is read without their folder, or names all there are and a preset of its own.
  const bool is_stored =
      request.config_dir.empty() || (num_present(model->value, names) == names.size() &&
                                     preset->value.origin.source != kCommandLine);
  if (preset->value.kind != Kind::kScalar || is_stored) return std::nullopt;
  const std::string& name = preset->value.text;
  const std::vector<std::string> known = preset_names(request.config_dir);
  if (std::find(known.begin(), known.end(), name) == known.end()) {
    const std::string message = unknown_preset(name, known);
    problems.add(preset->value.origin, "model.preset", message);
    problems.throw_if_any();
  }
  ConfigNode tree = preset_tree(request.config_dir, name, problems);
  const Phi4Config shape = read_preset_tree(tree, problems);
  for (ConfigEntry& entry : tree.entries) {
    if (model->value.find(entry.key) == nullptr) model->value.entries.push_back(std::move(entry));
  }
  return shape;
}

std::vector<PresetDifference> compare_with_preset(const RunConfig& run, const Phi4Config& preset) {
  RunConfig other = run;
  other.model.shape = preset;
  std::map<std::string, std::string> of_preset;
  for (const FieldValue& value : field_values(other)) of_preset[value.path] = value.value;
  std::vector<PresetDifference> differences;
  for (const FieldValue& value : field_values(run)) {
    const std::string& theirs = of_preset[value.path];
    if (value.value == theirs) continue;
    differences.push_back({value.path.substr(value.path.find('.') + 1), value.value, theirs});
  }
  return differences;
}

void apply_overrides(ConfigNode& root, const std::vector<std::string>& overrides,
                     Problems& problems) {
  std::set<std::string> seen;
  for (const std::string& assignment : overrides) {
    const std::string key = assignment.substr(0, assignment.find('='));
    if (!seen.insert(key).second) {
      problems.add({"command line"}, key, "given twice");
      continue;
    }
    apply_override(root, assignment, problems);
  }
}

}  // namespace

std::string ResolvedConfig::origin_text(const std::string& path) const {
  const auto found = origins.find(path);
  return found == origins.end() ? "default" : found->second.text();
}

Origin ResolvedConfig::nearest_origin(std::string path) const {
  while (!path.empty()) {
    const auto found = origins.find(path);
    if (found != origins.end()) return found->second;
    const std::size_t cut = path.find_last_of(".[");
    path.resize(cut == std::string::npos ? 0 : cut);
  }
  return {};
}

std::string ResolvedConfig::preset_note() const {
  if (origin_text("model.preset") != kCommandLine) return "";
  std::string fields;
  for (const PresetDifference& difference : preset_differences) {
    if (origin_text("model." + difference.field) == kCommandLine) continue;
    fields += fmt::format("{}{} {} (preset: {})", fields.empty() ? "" : ", ", difference.field,
                          difference.value, difference.preset);
  }
  if (fields.empty()) return "";
  return fmt::format("note: model.preset={}: the file's own fields win over the preset: {}\n",
                     run.model.preset, fields);
}

std::vector<std::string> preset_names(const std::string& config_dir) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(config_dir + "/model")) {
    if (entry.path().extension() == ".yaml") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

Phi4Config read_preset(const std::string& config_dir, const std::string& name) {
  const std::vector<std::string> known = preset_names(config_dir);
  if (std::find(known.begin(), known.end(), name) == known.end()) {
    throw std::invalid_argument("model: " + unknown_preset(name, known));
  }
  Problems problems;
  const ConfigNode tree = preset_tree(config_dir, name, problems);
  Phi4Config shape = read_preset_tree(tree, problems);
  problems.throw_if_any();
  check(shape);
  return shape;
}

ResolvedConfig read_run_config_text(const std::string& text, const ConfigRequest& request) {
  Problems problems;
  ConfigNode root = parse_yaml(text, request.file, problems);
  problems.throw_if_any();  // half a tree would only give follow-up errors
  apply_overrides(root, request.overrides, problems);
  const std::optional<Phi4Config> preset = apply_preset(root, request, problems);
  std::vector<std::string> known_paths;
  for (const FieldDoc& doc : field_docs()) known_paths.push_back(doc.path);
  ResolvedConfig resolved;
  resolved.run.model.shape.head_dim = 0;
  TreeReader reader(root, std::move(known_paths), problems);
  declare_run(reader, resolved.run);
  reader.finish();
  problems.throw_if_any();
  resolved.origins = reader.origins();
  set_default_head_dim(resolved.run.model.shape);
  if (preset) resolved.preset_differences = compare_with_preset(resolved.run, *preset);
  check_rules(resolved, request.num_ranks, problems);
  problems.throw_if_any();
  return resolved;
}

ResolvedConfig read_run_config(const ConfigRequest& request) {
  return read_run_config_text(read_text(request.file), request);
}

}  // namespace phalanx
