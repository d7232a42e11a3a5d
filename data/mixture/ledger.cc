#include "data/mixture/ledger.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>

namespace phalanx {
namespace {

using Json = nlohmann::json;
constexpr int64_t kCursorVersion = 1;

Json counts_to_json(const StreamCounts& counts) {
  Json list = Json::array();
  for (const auto& [source, by_length] : counts) {
    for (const auto& [length, rows] : by_length) {
      list.push_back({{"source", source}, {"sequence_length", length}, {"rows", rows}});
    }
  }
  return list;
}

Json segment_to_json(const LedgerSegment& segment) {
  Json phases = Json::array();
  for (const PhaseMark& mark : segment.phases) {
    phases.push_back({{"name", mark.name}, {"hash", fmt::format("{:016x}", mark.hash)}});
  }
  Json skipped = Json::array();
  for (const auto& [first, end] : segment.skipped) skipped.push_back({first, end});
  return {{"first_row", segment.first_row},
          {"first_step", segment.first_step},
          {"plan_hash", fmt::format("{:016x}", segment.plan_hash)},
          {"taken", counts_to_json(segment.taken)},
          {"phases", phases},
          {"skipped", skipped}};
}

// One JSON object being read: every key must be asked for, and nothing else may be there.
class Fields {
 public:
  Fields(const Json& json, std::string where, const std::set<std::string>& keys)
      : json_(json), where_(std::move(where)) {
    if (!json.is_object()) fail(where_, "an object", json);
    for (const auto& item : json.items()) {
      if (!keys.contains(item.key())) fail(where_ + "." + item.key(), "no such key", item.value());
    }
    for (const std::string& key : keys) {
      if (!json.contains(key)) {
        throw std::invalid_argument(
            fmt::format("{}.{}: expected a value, found none", where_, key));
      }
    }
  }

  [[noreturn]] static void fail(const std::string& field, const std::string& expected,
                                const Json& found) {
    throw std::invalid_argument(
        fmt::format("{}: expected {}, found {}", field, expected,
                    found.dump(-1, ' ', false, Json::error_handler_t::replace).substr(0, 80)));
  }

  int64_t count(const std::string& key) const { return as_count(json_.at(key), name(key)); }

  static int64_t as_count(const Json& value, const std::string& field) {
    if (!value.is_number_unsigned() && !(value.is_number_integer() && value.get<int64_t>() >= 0)) {
      fail(field, "an integer of at least 0", value);
    }
    if (value.is_number_unsigned() && value.get<uint64_t>() > uint64_t{1} << 62) {
      fail(field, "an integer of at most 2^62", value);
    }
    return value.get<int64_t>();
  }

  uint64_t unsigned_number(const std::string& key) const {
    const Json& value = json_.at(key);
    if (value.is_number_integer() && (value.is_number_unsigned() || value.get<int64_t>() >= 0)) {
      return value.get<uint64_t>();
    }
    fail(name(key), "an integer of at least 0", value);
  }

  std::string text(const std::string& key) const {
    if (!json_.at(key).is_string()) fail(name(key), "a string", json_.at(key));
    return json_.at(key).get<std::string>();
  }

  uint64_t hash(const std::string& key) const {
    const std::string digits = text(key);
    const bool hex = digits.find_first_not_of("0123456789abcdef") == std::string::npos;
    if (digits.size() != 16 || !hex) fail(name(key), "16 hexadecimal digits", json_.at(key));
    return std::stoull(digits, nullptr, 16);
  }

  const Json& list(const std::string& key) const {
    if (!json_.at(key).is_array()) fail(name(key), "a list", json_.at(key));
    return json_.at(key);
  }

  std::string name(const std::string& key) const { return where_ + "." + key; }

 private:
  const Json& json_;
  std::string where_;
};

std::string item_name(const std::string& list, size_t i) { return fmt::format("{}[{}]", list, i); }

StreamCounts read_counts(const Json& list, const std::string& where) {
  StreamCounts counts;
  for (size_t i = 0; i < list.size(); ++i) {
    const Fields fields(list[i], item_name(where, i), {"source", "sequence_length", "rows"});
    const int64_t length = fields.count("sequence_length");
    const bool added = counts[fields.text("source")].emplace(length, fields.count("rows")).second;
    if (!added || length == 0) {
      Fields::fail(item_name(where, i), "each source and length above 0 once", list[i]);
    }
  }
  return counts;
}

LedgerSegment read_segment(const Json& json, const std::string& where) {
  const Fields fields(json, where,
                      {"first_row", "first_step", "plan_hash", "taken", "phases", "skipped"});
  LedgerSegment segment;
  segment.first_row = fields.count("first_row");
  segment.first_step = fields.count("first_step");
  segment.plan_hash = fields.hash("plan_hash");
  segment.taken = read_counts(fields.list("taken"), fields.name("taken"));
  const Json& phases = fields.list("phases");
  for (size_t i = 0; i < phases.size(); ++i) {
    const Fields mark(phases[i], item_name(fields.name("phases"), i), {"name", "hash"});
    segment.phases.push_back({mark.text("name"), mark.hash("hash")});
  }
  const Json& skipped = fields.list("skipped");
  for (size_t i = 0; i < skipped.size(); ++i) {
    const std::string name = item_name(fields.name("skipped"), i);
    if (!skipped[i].is_array() || skipped[i].size() != 2) {
      Fields::fail(name, "[first row, end row]", skipped[i]);
    }
    segment.skipped.emplace_back(Fields::as_count(skipped[i][0], name),
                                 Fields::as_count(skipped[i][1], name));
  }
  return segment;
}

// Rows at the cursor must be those its last segment took with it and those given since.
void check_totals(const Cursor& cursor, const std::string& where) {
  const auto total = [](const StreamCounts& counts) {
    __int128 sum = 0;
    for (const auto& source : counts) {
      for (const auto& stream : source.second) sum += stream.second;
    }
    return sum;
  };
  const LedgerSegment& last = cursor.segments.back();
  if (last.first_row > cursor.row || last.first_step > cursor.step ||
      total(cursor.taken) - total(last.taken) != cursor.row - last.first_row) {
    throw std::invalid_argument(fmt::format(
        "{}.taken: expected counts that grew by the {} rows from row {} to row {}, found others",
        where, cursor.row - last.first_row, last.first_row, cursor.row));
  }
}

}  // namespace

Json cursor_to_json(const Cursor& cursor) {
  Json segments = Json::array();
  for (const LedgerSegment& segment : cursor.segments) segments.push_back(segment_to_json(segment));
  Json sources = Json::array();
  for (const LedgerSource& source : cursor.sources) {
    sources.push_back({{"name", source.name}, {"fingerprint", source.fingerprint}});
  }
  return {{"version", kCursorVersion},
          {"order_version", cursor.order_version},
          {"seed", cursor.seed},
          {"row", cursor.row},
          {"step", cursor.step},
          {"segments", segments},
          {"taken", counts_to_json(cursor.taken)},
          {"sources", sources}};
}

Cursor cursor_from_json(const Json& json, const std::string& where) {
  const Fields fields(
      json, where,
      {"version", "order_version", "seed", "row", "step", "segments", "taken", "sources"});
  if (fields.count("version") != kCursorVersion) {
    Fields::fail(fields.name("version"), fmt::format("{}", kCursorVersion), json.at("version"));
  }
  Cursor cursor;
  cursor.order_version = fields.unsigned_number("order_version");
  cursor.seed = fields.unsigned_number("seed");
  cursor.row = fields.count("row");
  cursor.step = fields.count("step");
  const Json& segments = fields.list("segments");
  if (segments.empty()) Fields::fail(fields.name("segments"), "at least one segment", segments);
  for (size_t i = 0; i < segments.size(); ++i) {
    cursor.segments.push_back(read_segment(segments[i], item_name(fields.name("segments"), i)));
  }
  cursor.taken = read_counts(fields.list("taken"), fields.name("taken"));
  const Json& sources = fields.list("sources");
  for (size_t i = 0; i < sources.size(); ++i) {
    const Fields source(sources[i], item_name(fields.name("sources"), i), {"name", "fingerprint"});
    cursor.sources.push_back({source.text("name"), source.text("fingerprint")});
  }
  check_totals(cursor, where);
  return cursor;
}

std::vector<PhaseMark> phase_marks(const MixturePlan& plan, int64_t row) {
  std::vector<PhaseMark> marks;
  for (const PlanPhase& phase : plan.phases) {
    if (phase.first_row >= row) break;
    const int64_t block = row >= phase.end_row ? phase.end_block - 1 : plan.find_block(row - 1);
    const CurriculumStage& stage = plan.curriculum.stages[static_cast<size_t>(phase.stage)];
    marks.push_back({stage.phases[static_cast<size_t>(phase.phase)].path,
                     plan.block_hash[static_cast<size_t>(block)]});
  }
  return marks;
}

}  // namespace phalanx
