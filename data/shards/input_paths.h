#pragma once
// From patterns to files. In a pattern *, ? and [...] match inside one folder's names, ** matches
// any number of folders ("lib/**/*.py"); a folder's name alone means all files below it. Local.
// Names that begin with a dot match only a pattern part that does.
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "data/shards/file_kind.h"

namespace phalanx {

struct InputFile {
  std::filesystem::path path;
  size_t pattern = 0;  // the first pattern that matches it
};

/// Regular files (links are followed), each once, sorted by the bytes of the path. Throws
/// std::invalid_argument for a pattern that matches no file and for a file that cannot be read as
/// `format` (format_of).
[[nodiscard]] std::vector<InputFile> expand_inputs(std::span<const std::string> patterns,
                                                   FileFormat format = FileFormat::kAuto);

}  // namespace phalanx
