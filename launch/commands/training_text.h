#pragma once
// The text that a tokenizer is trained on, document by document. Local; one owner. Memory: a chunk
// of a file. Errors: std::invalid_argument with file and line, std::system_error.
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "data/shards/record_reader.h"

namespace phalanx {

class TrainingText {
 public:
  /// Files, folders (every file below them) or glob patterns. The order of documents is that of the
  /// inputs, sorted within each.
  TrainingText(const std::vector<std::string>& inputs, RecordFormat format);

  /// False at the end.
  [[nodiscard]] bool next(std::string& document);

 private:
  std::unique_ptr<RecordChunk> next_chunk();
  void take(const Record& record);
  [[noreturn]] void refuse(const Record& record, const std::string& problem) const;

  std::vector<std::string> files_;
  RecordFormat format_;
  size_t next_file_ = 0;
  std::unique_ptr<RecordReader> reader_;  // of the file before next_file_
  std::deque<std::string> documents_;     // of the last chunk
};

}  // namespace phalanx
