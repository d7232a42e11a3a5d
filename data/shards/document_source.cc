#include "data/shards/document_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "data/file.h"

namespace phalanx {
namespace {

constexpr int64_t kMaxLineBytes = int64_t{64} << 20;
constexpr int64_t kMaxFileBytes = int64_t{1} << 30;  // of a file that is one document
constexpr int64_t kChunkBytes = int64_t{1} << 20;

bool holds_lines(const std::filesystem::path& path) {
  return path.extension() == ".jsonl" || path.extension() == ".ndjson";
}

/// Splits a file into lines, reading ahead by chunks.
class LineReader {
 public:
  explicit LineReader(const std::filesystem::path& path)
      : file_(File::open_read(path)), size_(file_.size()) {}

  /// The next line without its newline, or false at the end. A last line needs no newline.
  bool next(std::string_view& line) {
    size_t end;
    while ((end = buffer_.find('\n', searched_)) == std::string::npos && filled_to() < size_) {
      searched_ = buffer_.size();
      fill();
    }
    const bool last = end == std::string::npos;
    if (last && begin_ == buffer_.size()) return false;
    if (last) end = buffer_.size();
    line = std::string_view(buffer_).substr(begin_, end - begin_);
    line_offset_ = buffer_offset_ + static_cast<int64_t>(begin_);
    begin_ = last ? end : end + 1;
    searched_ = begin_;
    return true;
  }

  int64_t line_offset() const { return line_offset_; }

 private:
  int64_t filled_to() const { return buffer_offset_ + static_cast<int64_t>(buffer_.size()); }

  void fill() {
    if (static_cast<int64_t>(buffer_.size() - begin_) > kMaxLineBytes) {
      throw std::invalid_argument(fmt::format(
          "{}: offset {}: expected a line of at most {} bytes, found a longer one",
          file_.path().string(), buffer_offset_ + static_cast<int64_t>(begin_), kMaxLineBytes));
    }
    const auto n = static_cast<size_t>(std::min(kChunkBytes, size_ - filled_to()));
    const int64_t offset = filled_to();
    buffer_.erase(0, begin_);
    buffer_offset_ += static_cast<int64_t>(begin_);
    searched_ -= begin_;
    begin_ = 0;
    const size_t old = buffer_.size();
    buffer_.resize(old + n);
    file_.read_exact(offset, std::as_writable_bytes(std::span(buffer_).subspan(old)));
  }

  File file_;
  int64_t size_;
  std::string buffer_;
  int64_t buffer_offset_ = 0;  // of buffer_[0] in the file
  size_t begin_ = 0;           // of the next line, in buffer_
  size_t searched_ = 0;        // no newline before this
  int64_t line_offset_ = 0;
};

}  // namespace

DocumentSource::DocumentSource(std::vector<std::filesystem::path> files)
    : files_(std::move(files)) {}

std::string DocumentSource::name(const DocumentPlace& place) const {
  const std::string file = files_[place.file].string();
  return place.line == 0 ? file : fmt::format("{}:{}", file, place.line);
}

void DocumentSource::scan(const Visitor& visit) const {
  for (uint32_t file = 0; file < files_.size(); ++file) {
    if (holds_lines(files_[file])) {
      scan_lines(file, visit);
    } else {
      const std::string text = read_text(files_[file], kMaxFileBytes);
      visit({file, 0, 0, static_cast<int64_t>(text.size())}, text);
    }
  }
}

void DocumentSource::scan_lines(uint32_t file, const Visitor& visit) const {
  LineReader lines(files_[file]);
  std::string_view line;
  for (int64_t number = 1; lines.next(line); ++number) {
    const DocumentPlace place{file, number, lines.line_offset(), static_cast<int64_t>(line.size())};
    visit(place, parse_line(place, line));
  }
}

std::string DocumentSource::read(const DocumentPlace& place) const {
  const File file = File::open_read(files_[place.file]);
  std::string bytes(static_cast<size_t>(place.bytes), '\0');
  file.read_exact(place.offset, std::as_writable_bytes(std::span(bytes)));
  return place.line == 0 ? bytes : parse_line(place, bytes);
}

std::string DocumentSource::parse_line(const DocumentPlace& place, std::string_view line) const {
  const auto refuse = [&](std::string_view found) {
    throw std::invalid_argument(fmt::format(
        "{}: expected a JSON object with a string \"text\", found {}", name(place), found));
  };
  if (line.find_first_not_of(" \t\r") == std::string_view::npos) refuse("an empty line");
  nlohmann::json object;
  try {
    object = nlohmann::json::parse(line);
  } catch (const nlohmann::json::parse_error& error) {
    refuse(fmt::format("invalid JSON: {}", error.what()));
  }
  if (!object.is_object()) refuse(object.type_name());
  const auto text = object.find("text");
  if (text == object.end()) refuse("no such field");
  if (!text->is_string()) refuse(fmt::format("text of type {}", text->type_name()));
  return std::move(text->get_ref<std::string&>());
}

}  // namespace phalanx
