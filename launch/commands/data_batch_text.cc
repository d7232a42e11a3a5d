#include "launch/commands/data_batch_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace phalanx {
namespace {

using Json = nlohmann::ordered_json;

struct ReplicaPlace {
  int64_t replica = 0;
  int64_t micro_batch = 0;
};

ReplicaPlace replica_place(const StepRow& row, const StepRows& rows, const ReplicaView& view) {
  const int64_t each = rows.num_rows() / view.dp_size;
  return {row.place / each, row.place % each / view.micro_batch_size};
}

std::string document_name(const RowDocument& document) {
  std::string name = fmt::format("document {} of {}", document.number, document.shard);
  if (!document.origin_file.empty()) {
    name += fmt::format(", {}:{}", document.origin_file, document.origin_line);
  }
  return name;
}

bool begins_at(const Row& row, int64_t position) {
  return std::find(row.document_starts.begin(), row.document_starts.end(), position) !=
         row.document_starts.end();
}

/// The number of bytes of the UTF-8 character at the front of `text`; 0 if it is not one.
size_t utf8_length(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  const size_t length = lead < 0x80 ? 1 : lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  if (length == 0 || lead > 0xF4 || length > text.size()) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  if ((lead == 0xE0 && byte(1) < 0xA0) || (lead == 0xED && byte(1) > 0x9F) ||
      (lead == 0xF0 && byte(1) < 0x90) || (lead == 0xF4 && byte(1) > 0x8F)) {
    return 0;
  }
  return length;
}

/// C1 controls (U+0080 to U+009F) act on terminals as well, U+202A to U+202E and U+2066 to U+2069
/// reorder what is shown.
bool acts_on_terminals(std::string_view character) {
  if (character.size() == 1) {
    return static_cast<unsigned char>(character[0]) < 0x20 || character[0] == 0x7F;
  }
  return (character[0] == '\xC2' && static_cast<unsigned char>(character[1]) < 0xA0) ||
         (character >= "\u202A" && character <= "\u202E") ||
         (character >= "\u2066" && character <= "\u2069");
}

std::string indent_lines(std::string_view text) {
  std::string out = "| ";
  for (const char c : text) {
    out += c;
    if (c == '\n') out += "| ";
  }
  return out + "\n";
}

}  // namespace

std::string head_text(const StepHead& head, const StepRows& rows) {
  const int64_t first = rows.range().first_row;
  return fmt::format("step {} of {}, {}: {} rows of {} targets, rows {} to {} of the run\n{}\n",
                     head.step, head.num_steps, rows.phase(), rows.num_rows(),
                     rows.sequence_length(), first, first + rows.num_rows() - 1,
                     head.skipped ? "skipped: passed over without training\n" : "");
}

std::string columns_text() {
  return fmt::format("{:>5}  {:<16} {:>5} {:>10} {:>10} {:>8}  {}\n", "row", "source", "epoch",
                     "window", "draw", "targets", "first token");
}

std::string row_text(const StepRow& row, const StepRows& rows, const ReplicaView& view) {
  std::string text =
      fmt::format("{:>5}  {:<16} {:>5} {:>10} {:>10} {:>8}  {}", row.place, rows.source_name(row),
                  row.draw.epoch, row.draw.window, row.draw.draw, row.num_valid_targets,
                  row.first_token ? std::to_string(*row.first_token) : "-");
  if (view.dp_size > 0) {
    const ReplicaPlace place = replica_place(row, rows, view);
    text += fmt::format("  replica {}, micro-batch {}", place.replica, place.micro_batch);
  }
  text += '\n';
  for (const RowDocument& document : row.documents) {
    const bool begins = begins_at(row.row, document.position);
    text += fmt::format("       {} {:>6}  {}\n", begins ? "from" : "  in", document.position,
                        document_name(document));
  }
  return text;
}

std::string escape_controls(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const size_t length = utf8_length(text);
    const std::string_view character = text.substr(0, std::max<size_t>(1, length));
    if (character == "\n" || (length > 0 && !acts_on_terminals(character))) {
      out += character;
    } else {
      for (const char c : character) out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
    text.remove_prefix(character.size());
  }
  return out;
}

std::string decoded_text(const StepRow& row, const StepRows& rows, const Tokenizer& tokenizer) {
  const int64_t length = rows.sequence_length();
  std::string text =
      fmt::format("row {}: {}, epoch {}, window {}, {} targets that count\n", row.place,
                  rows.source_name(row), row.draw.epoch, row.draw.window, row.num_valid_targets);
  // Ids up to the last target; what follows is padding.
  const int64_t end = row.row.num_valid_targets + 1;
  std::vector<int64_t> cuts{0};
  for (const int64_t start : row.row.document_starts) {
    if (start > 0 && start < end) cuts.push_back(start);
  }
  cuts.push_back(end);
  for (size_t i = 0; i + 1 < cuts.size(); ++i) {
    const bool begins = begins_at(row.row, cuts[i]);
    const auto document = std::find_if(row.documents.begin(), row.documents.end(),
                                       [&](const RowDocument& d) { return d.position == cuts[i]; });
    text += fmt::format("--- position {}: {}{}\n", cuts[i],
                        begins ? "a document begins" : "goes on from before",
                        document == row.documents.end() ? "" : ": " + document_name(*document));
    const auto ids =
        std::span(row.row.tokens)
            .subspan(static_cast<size_t>(cuts[i]), static_cast<size_t>(cuts[i + 1] - cuts[i]));
    text += indent_lines(escape_controls(tokenizer.decode(ids)));
  }
  if (end <= length) text += fmt::format("--- position {}: padding\n", end);
  return text + "\n";
}

std::string head_json(const StepHead& head, const StepRows& rows) {
  const std::string phase = rows.phase();
  const size_t cut = phase.find('/');
  Json json{{"step", head.step},
            {"num_steps", head.num_steps},
            {"skipped", head.skipped},
            {"stage", phase.substr(0, cut)},
            {"phase", phase.substr(cut + 1)},
            {"sequence_length", rows.sequence_length()},
            {"first_row", rows.range().first_row},
            {"num_rows", rows.num_rows()}};
  std::string text = json.dump();
  text.back() = ',';  // the object goes on
  return text + "\"rows\":[\n";
}

std::string row_json(const StepRow& row, const StepRows& rows, const ReplicaView& view) {
  Json json{{"row", row.place},
            {"source", rows.source_name(row)},
            {"epoch", row.draw.epoch},
            {"draw", row.draw.draw},
            {"window", row.draw.window}};
  json["first_token"] = row.first_token ? Json(*row.first_token) : Json(nullptr);
  if (view.dp_size > 0) {
    const ReplicaPlace place = replica_place(row, rows, view);
    json["replica"] = place.replica;
    json["micro_batch"] = place.micro_batch;
  }
  json["tokens"] = row.row.tokens;
  json["num_valid_targets"] = row.num_valid_targets;
  json["document_starts"] = row.row.document_starts;
  json["documents"] = Json::array();
  for (const RowDocument& document : row.documents) {
    Json entry{
        {"position", document.position}, {"document", document.number}, {"shard", document.shard}};
    if (!document.origin_file.empty()) {
      entry["file"] = document.origin_file;
      entry["line"] = document.origin_line;
    }
    json["documents"].push_back(std::move(entry));
  }
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string tail_json() { return "\n]}\n"; }

}  // namespace phalanx
