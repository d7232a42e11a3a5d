#include "configs/field_list.h"

#include <map>
#include <stdexcept>

#include <fmt/format.h>

#include "configs/model_schema.h"
#include "configs/schema.h"

namespace phalanx {
namespace {

class DocLister : public PathVisitor {
 public:
  void field(const FieldInfo& info, const Value& value) override {
    const std::string fallback = info.required ? "required" : value.write().value_or("not set");
    docs.push_back({path_of(info.name), value.accepts, info.doc,
                    info.default_text.empty() ? fallback : info.default_text, info.tag});
  }
  void section(const FieldInfo& info, const std::function<void()>& declare) override {
    add_section(path_of(info.name), info);
    PathVisitor::section(info, declare);
  }
  void list(const FieldInfo& info, const Entries& entries) override {
    add_section(path_of(info.name), info);
    within(path_of(info.name) + "[]", [&] { entries.visit_prototype(*this); });
  }
  void table(const FieldInfo& info, const Entries& entries) override {
    add_section(path_of(info.name), info);
    within(path_of(info.name), [&] { entries.visit_prototype(*this); });
  }

  std::vector<FieldDoc> docs;

 private:
  void add_section(const std::string& path, const FieldInfo& info) {
    docs.push_back({path, "", info.doc, "", info.tag, true});
  }
};

class ValueLister : public PathVisitor {
 public:
  void field(const FieldInfo& info, const Value& value) override {
    if (const auto text = value.write()) values.push_back({path_of(info.name), *text, info.tag});
  }
  std::vector<FieldValue> values;
};

class YamlWriter : public PathVisitor {
 public:
  /// Each line gets the place its value came from, as `origins` has it; null: none.
  explicit YamlWriter(const ResolvedConfig* origins) : origins_(origins) {}

  void field(const FieldInfo& info, const Value& value) override {
    const auto written = value.write();
    if (!written) return;
    const std::string origin =
        origins_ == nullptr ? "" : "  # " + origins_->origin_text(path_of(info.name));
    line(fmt::format("{}: {}{}", info.name, *written, origin));
  }
  void section(const FieldInfo& info, const std::function<void()>& declare) override {
    line(info.name + ":");
    ++depth_;
    PathVisitor::section(info, declare);
    --depth_;
  }
  void list(const FieldInfo& info, const Entries& entries) override {
    line(info.name + (entries.size() == 0 ? ": []" : ":"));
    const std::string path = path_of(info.name);
    depth_ += 2;
    for (std::size_t i = 0; i < entries.size(); ++i) {
      starts_item_ = true;
      within(fmt::format("{}[{}]", path, i), [&] { entries.visit(*this, i); });
    }
    depth_ -= 2;
  }
  void table(const FieldInfo& info, const Entries& entries) override {
    line(info.name + (entries.size() == 0 ? ": {}" : ":"));
    ++depth_;
    PathVisitor::table(info, entries);
    --depth_;
  }

  std::string text;

 private:
  void line(const std::string& content) {
    std::string indent(2 * static_cast<std::size_t>(depth_), ' ');
    if (starts_item_) indent.replace(indent.size() - 2, 2, "- ");
    starts_item_ = false;
    text += indent + content + "\n";
  }

  const ResolvedConfig* origins_;
  int depth_ = 0;
  bool starts_item_ = false;
};

}  // namespace

std::vector<FieldDoc> field_docs() {
  RunConfig config;
  DocLister lister;
  declare_run(lister, config);
  return lister.docs;
}

std::vector<FieldValue> field_values(const RunConfig& config) {
  RunConfig copy = config;  // a declaration binds to variables, even to read them
  ValueLister lister;
  declare_run(lister, copy);
  return lister.values;
}

std::string tag_name(Tag tag) {
  switch (tag) {
    case Tag::kFixed:
      return "fixed";
    case Tag::kResumable:
      return "resumable";
    case Tag::kRounding:
      return "resumable, but fixed with reproducible: dp_invariant";
    case Tag::kFree:
      return "free";
  }
  return "free";
}

std::string resolved_yaml(const ResolvedConfig& config) {
  RunConfig copy = config.run;
  YamlWriter writer(&config);
  declare_run(writer, copy);
  return writer.text;
}

std::string model_yaml(const ModelConfig& model) {
  ModelConfig copy = model;
  YamlWriter writer(nullptr);
  writer.section({"model", ""}, [&] { declare_model(writer, copy); });
  return writer.text;
}

std::vector<std::string> compare_for_resume(const std::string& old_text,
                                            const ResolvedConfig& now) {
  ConfigRequest request;
  request.file = "the checkpoint's config.yaml";
  const ResolvedConfig before = read_run_config_text(old_text, request);
  std::map<std::string, std::string> old_values;
  for (const FieldValue& value : field_values(before.run)) old_values[value.path] = value.value;
  std::vector<std::string> differences;
  const bool keeps_bits = before.run.reproducible == Reproducible::kDpInvariant &&
                          now.run.reproducible == Reproducible::kDpInvariant;
  for (const FieldValue& value : field_values(now.run)) {
    const auto old_value = old_values.find(value.path);
    const bool fixed = value.tag == Tag::kFixed || (keeps_bits && value.tag == Tag::kRounding);
    if (!fixed || old_value == old_values.end()) continue;
    if (old_value->second == value.value) continue;
    differences.push_back(
        fmt::format("{}: fixed for a run{}; the checkpoint has {}, this "
                    "configuration {} ({})",
                    value.path, value.tag == Tag::kFixed ? "" : " with reproducible: dp_invariant",
                    old_value->second, value.value, now.origin_text(value.path)));
  }
  return differences;
}

}  // namespace phalanx
