#include "launch/commands/training_text.h"

#include <fmt/format.h>
#include <glob.h>

#include <algorithm>
#include <filesystem>
#include <stdexcept>
#include <utility>

#include "data/utf8.h"

namespace phalanx {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> files_below(const fs::path& folder) {
  std::vector<std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) files.push_back(entry.path().string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::vector<std::string> glob_matches(const std::string& pattern) {
  glob_t found{};
  const int status = ::glob(pattern.c_str(), 0, nullptr, &found);
  std::vector<std::string> paths(found.gl_pathv,
                                 found.gl_pathv + (status == 0 ? found.gl_pathc : 0));
  ::globfree(&found);
  std::sort(paths.begin(), paths.end());
  return paths;
}

std::vector<std::string> input_files(const std::vector<std::string>& inputs) {
  std::vector<std::string> files;
  for (const std::string& input : inputs) {
    const size_t before = files.size();
    const std::vector<std::string> paths =
        fs::exists(input) ? std::vector<std::string>{input} : glob_matches(input);
    for (const std::string& path : paths) {
      const std::vector<std::string> below =
          fs::is_directory(path) ? files_below(path) : std::vector<std::string>{path};
      files.insert(files.end(), below.begin(), below.end());
    }
    if (files.size() == before) {
      throw std::invalid_argument(fmt::format(
          "--input {}: expected a file, a folder of files or a pattern, found no file", input));
    }
  }
  return files;
}

}  // namespace

TrainingText::TrainingText(const std::vector<std::string>& inputs, RecordFormat format)
    : files_(input_files(inputs)), format_(std::move(format)) {}

bool TrainingText::next(std::string& document) {
  while (documents_.empty()) {
    if (const auto chunk = next_chunk()) {
      chunk->parse([this](const Record& record) { take(record); });
    } else {
      return false;
    }
  }
  document = std::move(documents_.front());
  documents_.pop_front();
  return true;
}

/// Null when all files are read.
std::unique_ptr<RecordChunk> TrainingText::next_chunk() {
  while (true) {
    if (reader_) {
      if (auto chunk = reader_->next()) return chunk;
    }
    if (next_file_ == files_.size()) return nullptr;
    reader_ = open_records(files_[next_file_++], format_);
  }
}

void TrainingText::take(const Record& record) {
  if (!record.problem.empty()) refuse(record, std::string(record.problem));
  if (const std::string byte = first_byte_not_utf8(record.text); !byte.empty()) {
    refuse(record, "expected text in UTF-8, found " + byte);
  }
  documents_.emplace_back(record.text);
}

void TrainingText::refuse(const Record& record, const std::string& problem) const {
  const std::string line = record.line == 0 ? "" : fmt::format(":{}", record.line);
  throw std::invalid_argument(fmt::format("{}{}: {}", files_[next_file_ - 1], line, problem));
}

}  // namespace phalanx
