#include "data/shards/record_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <utility>

#include "data/shards/byte_stream.h"
#include "data/shards/line_records.h"
#include "data/shards/parquet_records.h"

namespace phalanx {
namespace {

constexpr size_t kFirstReadBytes = size_t{64} << 10;

class WholeFileChunk final : public RecordChunk {
 public:
  WholeFileChunk(std::string text, std::string problem)
      : text_(std::move(text)), problem_(std::move(problem)) {}
  void parse(const RecordVisitor& visit) const override { visit({0, text_, problem_}); }
  int64_t bytes() const override { return static_cast<int64_t>(text_.capacity()); }

 private:
  std::string text_, problem_;
};

class WholeFileReader final : public RecordReader {
 public:
  WholeFileReader(const std::filesystem::path& file, size_t max_bytes)
      : max_bytes_(max_bytes), stream_(open_byte_stream(file)) {}

  std::unique_ptr<RecordChunk> next() override {
    if (!stream_) return nullptr;
    std::string text = read();
    stream_.reset();
    std::string problem;
    if (text.size() > max_bytes_) {
      problem = fmt::format("expected a document of at most {} bytes, found a longer one: split it",
                            max_bytes_);
    } else if (const std::string content = packed_content(text); !content.empty()) {
      problem = "expected text, found " + content;
    }
    if (!problem.empty()) text = {};
    return std::make_unique<WholeFileChunk>(std::move(text), std::move(problem));
  }

 private:
  /// The whole file, or one byte more than is allowed.
  std::string read() {
    std::string text;
    for (size_t filled = 0; filled == text.size() && filled <= max_bytes_;) {
      text.resize(std::min(std::max(2 * filled, kFirstReadBytes), max_bytes_ + 1));
      const size_t got = stream_->read(std::span(text).subspan(filled));
      if (filled + got < text.size()) {
        text.resize(filled + got);
        break;
      }
      filled += got;
    }
    return text;
  }

  size_t max_bytes_;
  std::unique_ptr<ByteStream> stream_;  // null once it was read
};

}  // namespace

std::unique_ptr<RecordReader> open_records(const std::filesystem::path& file,
                                           const RecordFormat& format) {
  switch (format_of(file, format.format)) {
    case FileFormat::kLines:
      return open_line_records(file, format);
    case FileFormat::kParquet:
      return open_parquet_records(file, format);
    default:
      return std::make_unique<WholeFileReader>(file, static_cast<size_t>(format.max_file_bytes));
  }
}

}  // namespace phalanx
