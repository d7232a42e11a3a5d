#include "launch/commands/data_batch_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "launch/commands/terminal_text.h"

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
  if (document.origin) name += ", " + origin_text(*document.origin);
  return name;
}

/// "document 7 of shard-00000, books.jsonl:9", and how far into it a part begins that goes on.
std::string part_name(const RowDocument& document) {
  std::string name = document_name(document);
  if (document.offset > 0) name += fmt::format(", from its token {} on", document.offset);
  return name;
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
    text += fmt::format("       {} {:>6}  {}\n", document.offset == 0 ? "from" : "  in",
                        document.position, part_name(document));
  }
  return text;
}

std::string decoded_text(const StepRow& row, const StepRows& rows, const Tokenizer& tokenizer) {
  const int64_t length = rows.sequence_length();
  std::string text =
      fmt::format("row {}: {}, epoch {}, window {}, {} targets that count\n", row.place,
                  rows.source_name(row), row.draw.epoch, row.draw.window, row.num_valid_targets);
  // Ids up to the last target; what follows is padding.
  const int64_t end = row.row.num_valid_targets + 1;
  for (size_t i = 0; i < row.documents.size(); ++i) {
    const RowDocument& document = row.documents[i];
    if (document.position >= end) break;
    const int64_t next =
        i + 1 < row.documents.size() ? std::min(end, row.documents[i + 1].position) : end;
    text += fmt::format("--- position {}: {}\n", document.position, part_name(document));
    const auto ids = std::span(row.row.tokens)
                         .subspan(static_cast<size_t>(document.position),
                                  static_cast<size_t>(next - document.position));
    text += indent_lines(terminal_text(tokenizer.decode(ids), LineEnds::kKeep));
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
    Json entry{{"position", document.position},
               {"document", document.number},
               {"offset", document.offset},
               {"first_token", document.first_token},
               {"shard", document.shard}};
    if (document.origin) {
      entry["file"] = document.origin->file;
      entry["line"] = document.origin->line;
    }
    json["documents"].push_back(std::move(entry));
  }
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string tail_json() { return "\n]}\n"; }

}  // namespace phalanx
