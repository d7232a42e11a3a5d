#include "data/shards/line_records.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "data/shards/byte_stream.h"
#include "data/utf8.h"

namespace phalanx {
namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
constexpr std::string_view kBlanks = " \t\r";

bool is_blank(std::string_view line) { return line.find_first_not_of(kBlanks) == line.npos; }

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
  explicit LineParser(const RecordFormat& format) : format_(format) {}

  /// `line` is followed by at least SIMDJSON_PADDING bytes that may be read. What the record points
  /// to lives until the next call.
  Record parse(int64_t number, std::string_view line) {
    if (line.size() > static_cast<size_t>(format_.max_line_bytes)) return too_long(number);
    if (is_blank(line)) return bad(number, "an empty line");
    simdjson::dom::element document;
    const auto error = parser_.parse(line.data(), line.size(), false).get(document);
    if (error != simdjson::SUCCESS) {
      const std::string not_utf8 = error == simdjson::UTF8_ERROR ? first_byte_not_utf8(line) : "";
      return bad(number,
                 fmt::format("invalid JSON: {}", not_utf8.empty() ? simdjson::error_message(error)
                                                                  : not_utf8 + " is not UTF-8"));
    }
    simdjson::dom::object object;
    if (document.get(object) != simdjson::SUCCESS) return bad(number, type_name(document.type()));
    int count = 0;
    simdjson::dom::element value;
    for (const auto& [key, field] : object) {
      if (key != format_.text_field) continue;
      value = field;
      ++count;
    }
    if (count == 0) return bad(number, "no such field");
    if (count > 1) return bad(number, fmt::format("{} of them", count));
    std::string_view text;
    if (value.get(text) != simdjson::SUCCESS) return bad(number, type_name(value.type()));
    return {number, text, {}};
  }

  Record bad(int64_t number, std::string_view found) {
    problem_ = fmt::format("expected a JSON object with a string \"{}\", found {}",
                           format_.text_field, found);
    return {number, {}, problem_};
  }
  Record too_long(int64_t number) {
    problem_ = fmt::format("expected a line of at most {} bytes, found a longer one",
                           format_.max_line_bytes);
    return {number, {}, problem_};
  }

 private:
  const RecordFormat& format_;
  simdjson::dom::parser parser_;
  std::string problem_;
};

/// Lines as they follow each other in a file.
struct LineGroup {
  int64_t first_line = 0;
  int64_t blank = 0;      // lines without text, then
  std::string text;       // whole lines and SIMDJSON_PADDING bytes, or nothing, then
  bool too_long = false;  // a line that was not kept
};

class LineChunk final : public RecordChunk {
 public:
  LineChunk(LineGroup lines, const RecordFormat& format)
      : lines_(std::move(lines)), format_(format) {}

  void parse(const RecordVisitor& visit) const override {
    LineParser parser(format_);
    int64_t line = lines_.first_line;
    for (int64_t i = 0; i < lines_.blank; ++i) visit(parser.parse(line++, ""));
    std::string_view rest(lines_.text);
    rest.remove_suffix(std::min(rest.size(), simdjson::SIMDJSON_PADDING));
    for (; !rest.empty(); ++line) {
      const size_t end = std::min(rest.find('\n'), rest.size());
      visit(parser.parse(line, rest.substr(0, end)));
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    if (lines_.too_long) visit(parser.too_long(line));
  }
  int64_t bytes() const override { return static_cast<int64_t>(lines_.text.capacity()); }

 private:
  LineGroup lines_;
  RecordFormat format_;
};

/// Whether blank lines are in the middle of a file or at its end shows only when what follows has
/// been read, so they are counted meanwhile.
class LineReader final : public RecordReader {
 public:
  LineReader(const std::filesystem::path& file, const RecordFormat& format)
      : format_(format), stream_(open_byte_stream(file)) {}

  std::unique_ptr<RecordChunk> next() override {
    while (true) {
      std::string text = std::exchange(rest_, {});
      size_t end = end_of_lines(text, 0);
      while (!ended_ && end == 0 && text.size() <= static_cast<size_t>(format_.max_line_bytes)) {
        end = read_more(text);
      }
      if (end == 0 && !ended_) return skip_line(std::move(text));
      if (ended_) end = text.size();
      if (end == 0) return nullptr;
      rest_ = text.substr(end);
      text.resize(end);
      if (auto chunk = take_lines(std::move(text))) return chunk;
    }
  }

 private:
  static size_t end_of_lines(std::string_view text, size_t begin) {
    const size_t newline = text.substr(begin).rfind('\n');
    return newline == std::string_view::npos ? 0 : begin + newline + 1;
  }

  /// Appends to `text`; gives the end of the last whole line in what was appended, 0 without one.
  size_t read_more(std::string& text) {
    const size_t old = text.size();
    const auto wanted = static_cast<size_t>(format_.chunk_bytes);
    text.reserve(old + wanted + simdjson::SIMDJSON_PADDING);
    text.resize(old + wanted);
    const size_t got = stream_->read(std::span(text).subspan(old));
    text.resize(old + got);
    ended_ = got < wanted;
    // It may come in pieces: while `text` is a part of it, nothing is decided.
    if (at_start_ && (text.size() >= kByteOrderMark.size() || !kByteOrderMark.starts_with(text))) {
      at_start_ = false;
      if (text.starts_with(kByteOrderMark)) text.erase(0, kByteOrderMark.size());
    }
    return end_of_lines(text, std::min(old, text.size()));
  }

  /// All but the blank lines at the end; null when there is nothing else.
  std::unique_ptr<RecordChunk> take_lines(std::string text) {
    const size_t last = text.find_last_not_of(" \t\r\n");
    const size_t end = last == text.npos ? 0 : std::min(text.find('\n', last), text.size() - 1) + 1;
    const int64_t blank = std::count(text.begin() + static_cast<ptrdiff_t>(end), text.end(), '\n');
    if (end == 0) {
      blank_ += blank;
      return nullptr;
    }
    text.resize(end);
    LineGroup lines{next_line_, std::exchange(blank_, blank), std::move(text), false};
    next_line_ += lines.blank + std::count(lines.text.begin(), lines.text.end(), '\n');
    lines.text.append(simdjson::SIMDJSON_PADDING, '\0');
    return std::make_unique<LineChunk>(std::move(lines), format_);
  }

  /// Lets go of a line, `text` its beginning, up to its newline.
  std::unique_ptr<RecordChunk> skip_line(std::string text) {
    size_t newline = text.npos;
    while (!ended_ && newline == text.npos) {
      text = {};
      read_more(text);
      newline = text.find('\n');
    }
    if (newline != text.npos) rest_ = text.substr(newline + 1);
    LineGroup lines{next_line_, std::exchange(blank_, 0), {}, true};
    next_line_ += lines.blank + 1;
    return std::make_unique<LineChunk>(std::move(lines), format_);
  }

  RecordFormat format_;
  std::unique_ptr<ByteStream> stream_;
  std::string rest_;       // what was read of the next lines
  int64_t next_line_ = 1;  // of the blank ones, if there are any
  int64_t blank_ = 0;      // lines without text before what comes next
  bool at_start_ = true, ended_ = false;
};

}  // namespace

std::unique_ptr<RecordReader> open_line_records(const std::filesystem::path& file,
                                                const RecordFormat& format) {
  return std::make_unique<LineReader>(file, format);
}

}  // namespace phalanx
