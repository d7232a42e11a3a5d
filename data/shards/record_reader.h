#pragma once
// Records of input files. Reading and parsing are apart, so that one thread reads a file and
// several parse and tokenize what it read. Local. A reader belongs to one thread; chunks may be
// parsed in any thread and outlive the reader. Memory: a chunk is some MiB of text, one record at
// least. Errors: a file that cannot be read or unpacked is std::system_error or
// std::invalid_argument with the path; a record that holds no document is not an error but a Record
// with its problem.
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "data/shards/file_kind.h"

namespace phalanx {

/// One record of a file: a document, or what is wrong with it.
struct Record {
  int64_t line = 0;          // from 1: line of text or row of a table; 0: the whole file
  std::string_view text;     // may be empty
  std::string_view problem;  // not empty: no document; "expected ..., found ..."
};
using RecordVisitor = std::function<void(const Record&)>;

/// Some records of one file as they were read.
class RecordChunk {
 public:
  virtual ~RecordChunk() = default;
  /// Calls `visit` for each record in order; what it is given lives during the call only.
  virtual void parse(const RecordVisitor& visit) const = 0;
  virtual int64_t bytes() const = 0;  // in memory
};

class RecordReader {
 public:
  virtual ~RecordReader() = default;
  /// Null at the end of the file.
  [[nodiscard]] virtual std::unique_ptr<RecordChunk> next() = 0;
};

struct RecordFormat {
  std::string text_field = "text";         // of a JSON line; column of a Parquet file
  int64_t chunk_bytes = int64_t{1} << 20;  // wanted size of a chunk of lines
  FileFormat format = FileFormat::kAuto;
  // What is longer is a record with a problem, and never in memory whole.
  int64_t max_line_bytes = int64_t{64} << 20;
  int64_t max_file_bytes = int64_t{1} << 30;  // of a file that is one document, unpacked
};

/// Reads the file as `format.format` says (file_kind.h), unpacked on the way.
[[nodiscard]] std::unique_ptr<RecordReader> open_records(const std::filesystem::path& file,
                                                         const RecordFormat& format);

}  // namespace phalanx
