#pragma once
// Documents in files: a .jsonl or .ndjson file holds one JSON object a line with the string field
// "text", any other file is one document.
//
// Local. scan() goes over all documents once in order and remembers nothing; read() brings one back
// by its place, from several threads at once if wanted. So a caller can reorder more text than
// fits memory.
// Errors: std::invalid_argument with file, line, expected and found.
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace phalanx {

/// Where a document lies: a whole file, or a line of one.
struct DocumentPlace {
  uint32_t file = 0;
  int64_t line = 0;  // 1 for the first; 0: the whole file
  int64_t offset = 0;
  int64_t bytes = 0;
};

class DocumentSource {
 public:
  explicit DocumentSource(std::vector<std::filesystem::path> files);

  using Visitor = std::function<void(const DocumentPlace&, std::string_view text)>;
  void scan(const Visitor& visit) const;

  [[nodiscard]] std::string read(const DocumentPlace& place) const;

  /// "books.jsonl:17" or "play.txt".
  [[nodiscard]] std::string name(const DocumentPlace& place) const;
  const std::vector<std::filesystem::path>& files() const { return files_; }

 private:
  void scan_lines(uint32_t file, const Visitor& visit) const;
  std::string parse_line(const DocumentPlace& place, std::string_view line) const;

  std::vector<std::filesystem::path> files_;
};

}  // namespace phalanx
