// JSON lines: each line is a record or named as a bad one, the same however the file is cut into
// chunks, and a text that is taken is what another JSON reader makes of the line. Bytes that begin
// as gzip's are unpacked as well, to the same by pieces of any size.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <tuple>
#include <vector>

#include "data/shards/byte_stream.h"
#include "data/shards/line_records.h"
#include "tests/fuzz/fuzz.h"

namespace phalanx::fuzz {
namespace {

using Line = std::tuple<int64_t, std::string, std::string>;  // number, text, problem

std::vector<Line> lines_of(const std::filesystem::path& file, int64_t chunk_bytes) {
  RecordFormat format;
  format.chunk_bytes = chunk_bytes;
  format.max_line_bytes = 512;
  const auto reader = open_line_records(file, format);
  std::vector<Line> lines;
  while (const auto chunk = reader->next()) {
    chunk->parse([&](const Record& record) {
      lines.emplace_back(record.line, record.text, record.problem);
    });
  }
  return lines;
}

std::vector<std::string_view> split(std::string_view text) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  const size_t last = text.find_last_not_of(" \t\r\n");
  text = text.substr(0, last == text.npos ? 0 : text.find('\n', last));
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

std::string unpacked(const std::filesystem::path& file, size_t piece_bytes) {
  constexpr size_t kMaxBytes = size_t{1} << 18;
  const auto stream = open_byte_stream(file);
  std::string text;
  std::vector<char> piece(piece_bytes);
  while (text.size() < kMaxBytes) {
    const size_t count = stream->read(piece);
    text.append(piece.data(), count);
    if (count < piece_bytes) break;
  }
  return text.substr(0, kMaxBytes);
}

void check_packed(std::string_view input) {
  if (!input.starts_with("\x1f\x8b")) return;
  const std::filesystem::path file = folder() / "lines.jsonl.gz";
  spill(file, input);
  const auto read = [&](size_t piece_bytes) {
    return accepted(file.string(), [&] { return unpacked(file, piece_bytes); });
  };
  require(read(size_t{1} << 16) == read(61), "the size of a piece decides nothing");
}

void check(std::string_view input) {
  check_packed(input);
  const std::filesystem::path file = folder() / "lines.jsonl";
  spill(file, input);
  const std::vector<Line> lines = lines_of(file, 1 << 20);
  for (const int64_t chunk_bytes : {1, 7, 64}) {
    require(lines_of(file, chunk_bytes) == lines, "the size of a chunk decides nothing");
  }
  const std::vector<std::string_view> expected = split(input);
  require(lines.size() == expected.size(), "every line is a record");
  for (size_t i = 0; i < lines.size(); ++i) {
    const auto& [number, text, problem] = lines[i];
    require(number == static_cast<int64_t>(i) + 1, "lines are numbered from 1");
    if (!problem.empty()) continue;
    const auto json = nlohmann::json::parse(expected[i], nullptr, /*allow_exceptions=*/false);
    require(json.is_object() && json.contains("text") && json["text"] == text,
            "another reader finds the same text");
  }
}

}  // namespace
}  // namespace phalanx::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  phalanx::fuzz::check(phalanx::fuzz::text_of(data, size));
  return 0;
}
