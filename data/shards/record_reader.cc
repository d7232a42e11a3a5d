#include "data/shards/record_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "data/shards/byte_stream.h"
#include "data/shards/line_records.h"
#include "data/shards/parquet_records.h"

namespace phalanx {
namespace {

constexpr size_t kMaxFileBytes = size_t{1} << 30;  // of a file that is one document
constexpr size_t kFirstReadBytes = size_t{64} << 10;

class WholeFileChunk final : public RecordChunk {
 public:
  explicit WholeFileChunk(std::string text) : text_(std::move(text)) {}
  void parse(const RecordVisitor& visit) const override { visit({0, text_, {}}); }
  int64_t bytes() const override { return static_cast<int64_t>(text_.capacity()); }

 private:
  std::string text_;
};

class WholeFileReader final : public RecordReader {
 public:
  explicit WholeFileReader(const std::filesystem::path& file)
      : file_(file), stream_(open_byte_stream(file)) {}

  std::unique_ptr<RecordChunk> next() override {
    if (!stream_) return nullptr;
    std::string text;
    for (size_t filled = 0, wanted = kFirstReadBytes; filled == text.size(); wanted = filled) {
      if (filled > kMaxFileBytes) {
        throw std::invalid_argument(
            fmt::format("{}: expected a document of at most {} bytes, found a longer one",
                        file_.string(), kMaxFileBytes));
      }
      text.resize(filled + wanted);
      filled += stream_->read(std::span(text).subspan(filled));
      if (filled < text.size()) {
        text.resize(filled);
        break;
      }
    }
    stream_.reset();
    return std::make_unique<WholeFileChunk>(std::move(text));
  }

 private:
  std::filesystem::path file_;
  std::unique_ptr<ByteStream> stream_;  // null once it was read
};

}  // namespace

std::unique_ptr<RecordReader> open_records(const std::filesystem::path& file,
                                           const RecordFormat& format) {
  if (file.extension() == ".parquet") return open_parquet_records(file, format);
  const std::filesystem::path name = is_packed(file) ? file.stem() : file.filename();
  if (name.extension() == ".jsonl" || name.extension() == ".ndjson") {
    return open_line_records(file, format);
  }
  return std::make_unique<WholeFileReader>(file);
}

}  // namespace phalanx
