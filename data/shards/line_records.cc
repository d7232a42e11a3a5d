#include "data/shards/line_records.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "data/shards/byte_stream.h"

namespace phalanx {
namespace {

constexpr size_t kMaxLineBytes = size_t{64} << 20;

std::string_view type_name(simdjson::dom::element_type type) {
  using Type = simdjson::dom::element_type;
  switch (type) {
    case Type::ARRAY:
      return "an array";
    case Type::OBJECT:
      return "an object";
    case Type::STRING:
      return "a string";
    case Type::BOOL:
      return "true or false";
    case Type::NULL_VALUE:
      return "null";
    default:
      return "a number";
  }
}

/// Reads the lines of one chunk, with memory that is kept from line to line.
class LineParser {
 public:
  explicit LineParser(const std::string& field) : field_(field) {}

  /// `line` is followed by at least SIMDJSON_PADDING bytes that may be read. What the record points
  /// to lives until the next call.
  Record parse(int64_t number, std::string_view line) {
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) {
      return bad(number, "an empty line");
    }
    simdjson::dom::element document;
    const auto error = parser_.parse(line.data(), line.size(), false).get(document);
    if (error != simdjson::SUCCESS) {
      return bad(number, fmt::format("invalid JSON: {}", simdjson::error_message(error)));
    }
    simdjson::dom::object object;
    if (document.get(object) != simdjson::SUCCESS) return bad(number, type_name(document.type()));
    int count = 0;
    simdjson::dom::element value;
    for (const auto& [key, field] : object) {
      if (key != field_) continue;
      value = field;
      ++count;
    }
    if (count == 0) return bad(number, "no such field");
    if (count > 1) return bad(number, fmt::format("{} of them", count));
    std::string_view text;
    if (value.get(text) != simdjson::SUCCESS) return bad(number, type_name(value.type()));
    return {number, text, {}};
  }

 private:
  Record bad(int64_t number, std::string_view found) {
    problem_ = fmt::format("expected a JSON object with a string \"{}\", found {}", field_, found);
    return {number, {}, problem_};
  }

  const std::string& field_;
  simdjson::dom::parser parser_;
  std::string problem_;
};

class LineChunk final : public RecordChunk {
 public:
  /// `text` is whole lines and SIMDJSON_PADDING bytes.
  LineChunk(std::string text, int64_t first_line, std::string field)
      : text_(std::move(text)), first_line_(first_line), field_(std::move(field)) {}

  void parse(const RecordVisitor& visit) const override {
    std::string_view rest(text_);
    rest.remove_suffix(simdjson::SIMDJSON_PADDING);
    LineParser parser(field_);
    for (int64_t line = first_line_; !rest.empty(); ++line) {
      const size_t end = std::min(rest.find('\n'), rest.size());
      visit(parser.parse(line, rest.substr(0, end)));
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  }
  int64_t bytes() const override { return static_cast<int64_t>(text_.capacity()); }

 private:
  std::string text_;
  int64_t first_line_;
  std::string field_;
};

class LineReader final : public RecordReader {
 public:
  LineReader(const std::filesystem::path& file, const RecordFormat& format)
      : file_(file), format_(format), stream_(open_byte_stream(file)) {}

  std::unique_ptr<RecordChunk> next() override {
    std::string text = std::exchange(rest_, {});
    size_t end = std::string::npos;
    while (!ended_ && end == std::string::npos) end = read_more(text);
    if (ended_) end = text.size();
    if (end == 0) return nullptr;
    rest_ = text.substr(end);
    text.resize(end);
    const int64_t first = next_line_;
    next_line_ += std::count(text.begin(), text.end(), '\n');
    text.append(simdjson::SIMDJSON_PADDING, '\0');
    return std::make_unique<LineChunk>(std::move(text), first, format_.text_field);
  }

 private:
  /// Appends to `text`; gives the end of the last whole line in what was appended.
  size_t read_more(std::string& text) {
    if (text.size() > kMaxLineBytes) {
      throw std::invalid_argument(
          fmt::format("{}:{}: expected a line of at most {} bytes, found a longer one",
                      file_.string(), next_line_, kMaxLineBytes));
    }
    const size_t old = text.size();
    const auto wanted = static_cast<size_t>(format_.chunk_bytes);
    text.reserve(old + wanted + simdjson::SIMDJSON_PADDING);
    text.resize(old + wanted);
    const size_t got = stream_->read(std::span(text).subspan(old));
    text.resize(old + got);
    ended_ = got < wanted;
    const size_t newline = std::string_view(text).substr(old).rfind('\n');
    return newline == std::string_view::npos ? newline : old + newline + 1;
  }

  std::filesystem::path file_;
  RecordFormat format_;
  std::unique_ptr<ByteStream> stream_;
  std::string rest_;  // the beginning of a line
  int64_t next_line_ = 1;
  bool ended_ = false;
};

}  // namespace

std::unique_ptr<RecordReader> open_line_records(const std::filesystem::path& file,
                                                const RecordFormat& format) {
  return std::make_unique<LineReader>(file, format);
}

}  // namespace phalanx
