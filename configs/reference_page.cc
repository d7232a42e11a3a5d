#include "configs/reference_page.h"

#include <fmt/format.h>

#include <vector>

#include "configs/field_list.h"

namespace phalanx {
namespace {

constexpr const char* kIntroduction =
    R"(# Every field of a configuration

Made by `build/phalanx config --reference > configs/REFERENCE.md` from the definitions that the
reader itself goes by; a test fails when the two differ. `build/phalanx config --explain FIELD`
prints the same of one field or section, and `build/phalanx config --schema` all of it as a JSON
Schema for editors.

`[]` stands for each entry of a list, `<name>` for a name of your own. On a resume a field is *free*
(changes no result), *resumable* (may change; what follows is computed otherwise) or *fixed*
(another value is an error that shows both).
)";

constexpr const char* kTableHead =
    "\n| field | meaning | accepts | default | on a resume |\n|---|---|---|---|---|\n";

/// What Markdown would take for its own.
std::string cell(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '|' || c == '<' || c == '*') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

std::string code(const std::string& text) { return text.empty() ? "" : "`" + text + "`"; }

bool is_top(const std::string& path) { return path.find_first_of(".[") == std::string::npos; }

/// Words such as "required" are not YAML.
std::string default_cell(const FieldDoc& doc) {
  const bool is_word = doc.default_text == "required" || doc.default_text == "not set" ||
                       doc.default_text.find(' ') != std::string::npos;
  return is_word ? cell(doc.default_text) : code(doc.default_text);
}

std::string row(const FieldDoc& doc) {
  if (doc.is_section) return fmt::format("| `{}` | {} | | | |\n", doc.path, cell(doc.doc));
  return fmt::format("| `{}` | {} | {} | {} | {} |\n", doc.path, cell(doc.doc), cell(doc.accepts),
                     default_cell(doc), tag_name(doc.tag));
}

}  // namespace

std::string reference_page() {
  const std::vector<FieldDoc> docs = field_docs();
  std::string page = kIntroduction;
  page += fmt::format("\n## Outside sections\n{}", kTableHead);
  for (const FieldDoc& doc : docs) {
    if (is_top(doc.path) && !doc.is_section) page += row(doc);
  }
  for (const FieldDoc& doc : docs) {
    if (is_top(doc.path) && doc.is_section) {
      page += fmt::format("\n## {}: {}\n{}", doc.path, cell(doc.doc), kTableHead);
    } else if (!is_top(doc.path)) {
      page += row(doc);
    }
  }
  return page;
}

}  // namespace phalanx
