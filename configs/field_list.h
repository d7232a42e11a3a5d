#pragma once
// What follows from the declarations in schema.cc: the list of fields with their meaning, the
// values of one configuration, its YAML, and what a resume may not change. Local, pure.
#include <string>
#include <vector>

#include "configs/read_config.h"
#include "configs/schema_visitor.h"

namespace phalanx {

/// One field of the schema: path `data.sources.<name>.path`, `stages[].phases[].tokens`.
struct FieldDoc {
  std::string path;
  std::string accepts;
  std::string doc;
  std::string default_text;  // "required", "not set", or the value
  Tag tag = Tag::kFree;
  bool is_section = false;  // a section, list or table; accepts and default_text are empty
};

/// One field of one configuration, with its value as YAML text; fields that are not set are absent.
struct FieldValue {
  std::string path;
  std::string value;
  Tag tag = Tag::kFree;
};

std::vector<FieldDoc> field_docs();
std::vector<FieldValue> field_values(const RunConfig& config);
std::string tag_name(Tag tag);

/// The whole configuration as YAML that reads back to the same values, each line with the place
/// its value came from as comment.
std::string resolved_yaml(const ResolvedConfig& config);

/// The section `model:` alone, without comments, to be put into a configuration.
std::string model_yaml(const ModelConfig& model);

/// What a resume with `now` would change although it is fixed: one message a field, with both
/// values. `old_text` is the resolved_yaml() of a checkpoint. Stages that only one of them has
/// are curriculum, which a resume may change. Throws std::invalid_argument when `old_text` does
/// not read.
std::vector<std::string> compare_for_resume(const std::string& old_text, const ResolvedConfig& now);

}  // namespace phalanx
