#include "data/shards/input_paths.h"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <map>
#include <stdexcept>
#include <system_error>

namespace phalanx {
namespace {

namespace fs = std::filesystem;

constexpr int kMaxDepth = 64;  // a loop of links ends here

bool has_wildcard(const std::string& part) {
  return part.find_first_of("*?[") != std::string::npos;
}

std::vector<fs::path> sorted_children(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> children;
  const fs::path place = folder.empty() ? fs::path(".") : folder;
  for (fs::directory_iterator it(place, error), end; !error && it != end; it.increment(error)) {
    children.push_back(folder / it->path().filename());
  }
  if (error) throw std::system_error(error, "list folder " + place.string());
  std::sort(children.begin(), children.end());
  return children;
}

/// Walks the folders for one pattern, part by part.
class Matcher {
 public:
  explicit Matcher(const std::string& pattern) {
    const fs::path path(pattern);
    for (const fs::path& part : path) {
      if (!part.empty()) parts_.push_back(part.string());
    }
  }

  std::vector<fs::path> files() {
    match("", 0, 0);
    return std::move(files_);
  }

 private:
  void match(const fs::path& base, size_t index, int depth) {
    if (depth > kMaxDepth) return;
    if (index == parts_.size()) {
      take(base, depth);
    } else if (parts_[index] == "**") {
      match_any_depth(base, index, depth);
    } else if (!has_wildcard(parts_[index])) {
      match(base / parts_[index], index + 1, depth + 1);
    } else if (is_folder(base)) {
      for (const fs::path& child : sorted_children(base)) {
        const std::string name = child.filename().string();
        if (::fnmatch(parts_[index].c_str(), name.c_str(), FNM_PERIOD) == 0) {
          match(child, index + 1, depth + 1);
        }
      }
    }
  }

  void match_any_depth(const fs::path& base, size_t index, int depth) {
    if (!is_folder(base) || depth > kMaxDepth) return;
    match(base, index + 1, depth + 1);
    for (const fs::path& child : sorted_children(base)) {
      if (is_folder(child) && !is_hidden(child)) match_any_depth(child, index, depth + 1);
    }
  }

  void take(const fs::path& path, int depth) {
    if (depth > kMaxDepth) return;
    std::error_code error;
    if (fs::is_regular_file(path, error)) {
      files_.push_back(path);
    } else if (has_wildcard(parts_.back())) {
      return;  // "data/*" means the files there, not all that is below
    } else if (is_folder(path)) {
      take_all_below(path, depth);
    }
  }

  void take_all_below(const fs::path& folder, int depth) {
    if (depth > kMaxDepth) return;
    for (const fs::path& child : sorted_children(folder)) {
      std::error_code error;
      if (is_hidden(child)) continue;
      if (fs::is_regular_file(child, error)) files_.push_back(child);
      if (is_folder(child)) take_all_below(child, depth + 1);
    }
  }

  static bool is_folder(const fs::path& path) {
    std::error_code error;
    return fs::is_directory(path.empty() ? fs::path(".") : path, error);
  }
  static bool is_hidden(const fs::path& path) { return path.filename().string().front() == '.'; }

  std::vector<std::string> parts_;
  std::vector<fs::path> files_;
};

void check_file(const fs::path& path, FileFormat format) {
  (void)format_of(path, format);
  if (path.string().find('\n') != std::string::npos) {
    throw std::invalid_argument(
        fmt::format("{}: expected a path without a line break, found one", path.string()));
  }
}

}  // namespace

std::vector<InputFile> expand_inputs(std::span<const std::string> patterns, FileFormat format) {
  std::map<std::string, size_t> found;
  for (size_t i = 0; i < patterns.size(); ++i) {
    const std::vector<fs::path> files = Matcher(patterns[i]).files();
    if (files.empty()) {
      throw std::invalid_argument(
          fmt::format("input \"{}\": expected files, found none that match", patterns[i]));
    }
    for (const fs::path& file : files) {
      check_file(file, format);
      found.try_emplace(file.lexically_normal().string(), i);
    }
  }
  std::vector<InputFile> inputs;
  for (const auto& [path, pattern] : found) inputs.push_back({path, pattern});
  return inputs;
}

}  // namespace phalanx
