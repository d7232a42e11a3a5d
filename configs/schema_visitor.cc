#include "configs/schema_visitor.h"

#include <utility>

namespace phalanx {

std::string PathVisitor::path_of(const std::string& name) const {
  return path_.empty() ? name : path_ + "." + name;
}

void PathVisitor::within(const std::string& path, const std::function<void()>& body) {
  std::string outer = std::exchange(path_, path);
  body();
  path_ = std::move(outer);
}

void PathVisitor::section(const FieldInfo& info, const std::function<void()>& declare) {
  within(path_of(info.name), declare);
}

void PathVisitor::list(const FieldInfo& info, const Entries& entries) {
  const std::string path = path_of(info.name);
  for (std::size_t i = 0; i < entries.size(); ++i) {
    within(path + "[" + std::to_string(i) + "]", [&] { entries.visit(*this, i); });
  }
}

void PathVisitor::table(const FieldInfo& info, const Entries& entries) {
  within(path_of(info.name), [&] {
    for (std::size_t i = 0; i < entries.size(); ++i) entries.visit(*this, i);
  });
}

}  // namespace phalanx
