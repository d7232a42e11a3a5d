#include "data/shards/pack_plan.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <system_error>

#include "data/json_fields.h"
#include "data/shards/input_paths.h"

namespace phalanx {
namespace {

/// JSON, and so the plan, the manifest and the list of rejected lines, holds UTF-8 only.
void check_name(const std::string& path) {
  try {
    (void)Json(path).dump();
  } catch (const Json::exception&) {
    throw std::invalid_argument(
        fmt::format("{}: expected a path in UTF-8, found one that is not: rename it", path));
  }
}

constexpr std::string_view kFormatName = "phalanx.packing";
constexpr int64_t kFormatVersion = 2;
// A unit is what a kill can cost; a thousand of them keep the merge of their runs cheap.
constexpr int64_t kSmallestUnitBytes = int64_t{256} << 20;
constexpr int64_t kMostUnits = 1024;

PackInput look_at(const std::string& path, size_t pattern) {
  struct stat status;
  if (::stat(path.c_str(), &status) != 0) {
    throw std::system_error(errno, std::generic_category(), "stat " + path);
  }
  return {path, static_cast<int64_t>(pattern), status.st_size,
          status.st_mtim.tv_sec * int64_t{1000000000} + status.st_mtim.tv_nsec};
}

Json inputs_json(const std::vector<PackInput>& inputs) {
  Json list = Json::array();
  for (const PackInput& input : inputs) {
    list.push_back({{"path", input.path},
                    {"pattern", input.pattern},
                    {"bytes", input.bytes},
                    {"mtime_ns", input.mtime_ns}});
  }
  return list;
}

/// The fields that make two jobs the same, but for the inputs.
Json identity_json(const PackPlan& plan) {
  const PackOptions& options = plan.options;
  return {{"name", options.name},
          {"kind", dataset_kind_name(options.kind)},
          {"licence", options.licence},
          {"seed", options.seed},
          {"validation_per_mille", options.validation_per_mille},
          {"shard_tokens", options.shard_tokens},
          {"text_field", options.text_field},
          {"input_format", file_format_name(options.format)},
          {"best_fit", options.bin_lengths},
          {"tokenizer", plan.tokenizer},
          {"vocab_size", plan.vocab_size},
          {"end_of_document", plan.end_of_document},
          {"patterns", options.inputs}};
}

[[noreturn]] void refuse_other_job(const std::string& where, const std::string& field,
                                   const std::string& expected, const std::string& found) {
  throw std::invalid_argument(
      fmt::format("{}: {}: expected {}, as the packing there began, found {}: repeat that command "
                  "to go on with it, or remove the folder to start anew",
                  where, field, expected, found));
}

std::string described(const PackInput& input) {
  return fmt::format("{} bytes, modified at {}.{:09}", input.bytes, input.mtime_ns / 1000000000,
                     input.mtime_ns % 1000000000);
}

/// A unit ends with the file that makes it `unit_bytes` long.
std::vector<PackUnit> cut_units(const std::vector<PackInput>& inputs, int64_t unit_bytes) {
  std::vector<PackUnit> units;
  int64_t bytes = 0;
  for (int64_t i = 0; i < static_cast<int64_t>(inputs.size()); ++i) {
    if (units.empty() || bytes >= unit_bytes) {
      units.push_back({i, i});
      bytes = 0;
    }
    units.back().end_file = i + 1;
    bytes += inputs[static_cast<size_t>(i)].bytes;
  }
  return units;
}

/// Units one after another, as the number of the file after each.
Json units_json(const std::vector<PackUnit>& units) {
  Json list = Json::array();
  for (const PackUnit& unit : units) list.push_back(unit.end_file);
  return list;
}

std::vector<PackUnit> parse_units(const JsonFields& fields, int64_t num_inputs) {
  std::vector<PackUnit> units;
  int64_t end = 0;
  for (const JsonValue value : fields.list("units")) {
    const int64_t first = end;
    if (value.get(end) != simdjson::SUCCESS || end <= first) {
      refuse(fields.place("units"), "rising numbers of files", shown(value));
    }
    units.push_back({first, end});
  }
  if (end != num_inputs) {
    refuse(fields.place("units"), fmt::format("{} files in all", num_inputs),
           fmt::format("{}", end));
  }
  return units;
}

PackOptions parse_options(const JsonFields& fields) {
  PackOptions options;
  options.name = fields.text("name");
  options.kind = parse_dataset_kind(fields.text("kind"));
  options.licence = fields.text("licence");
  options.seed = fields.seed("seed");
  options.validation_per_mille = fields.count("validation_per_mille", 0, 500);
  options.shard_tokens = fields.count("shard_tokens", 1);
  options.text_field = fields.text("text_field");
  options.format = parse_file_format(fields.text("input_format"));
  for (const JsonValue length : fields.list("best_fit")) {
    int64_t bin_length = 0;
    if (length.get(bin_length) != simdjson::SUCCESS || bin_length < 0) {
      refuse(fields.place("best_fit"), "lengths", shown(length));
    }
    options.bin_lengths.push_back(bin_length);
  }
  for (const JsonValue pattern : fields.list("patterns")) {
    std::string_view text;
    if (pattern.get(text) != simdjson::SUCCESS) {
      refuse(fields.place("patterns"), "texts", shown(pattern));
    }
    options.inputs.emplace_back(text);
  }
  return options;
}

}  // namespace

PackPlan make_pack_plan(const PackOptions& options, const PackTokenizer& tokenizer) {
  PackPlan plan;
  plan.options = options;
  plan.tokenizer = tokenizer.fingerprint;
  plan.vocab_size = tokenizer.vocab_size;
  plan.end_of_document = tokenizer.end_of_document;
  int64_t bytes = 0;
  for (const InputFile& input : expand_inputs(options.inputs, options.format)) {
    check_name(input.path.string());
    plan.inputs.push_back(look_at(input.path.string(), input.pattern));
    bytes += plan.inputs.back().bytes;
  }
  plan.unit_bytes = options.unit_bytes > 0 ? options.unit_bytes
                                           : std::max(kSmallestUnitBytes, bytes / kMostUnits);
  plan.units = cut_units(plan.inputs, plan.unit_bytes);
  return plan;
}

std::string PackPlan::place(uint64_t file, int64_t line) const {
  const std::string& path = inputs.at(file).path;
  return line == 0 ? path : fmt::format("{}:{}", path, line);
}

std::string pack_plan_json(const PackPlan& plan) {
  Json document = {{"format", kFormatName}, {"format_version", kFormatVersion}};
  document["state"] = plan.packed ? "packed" : "packing";
  document.update(identity_json(plan));
  document["unit_bytes"] = plan.unit_bytes;
  document["inputs"] = inputs_json(plan.inputs);
  document["units"] = units_json(plan.units);
  return document.dump(1) + "\n";
}

PackPlan parse_pack_plan(std::string_view json, const std::string& where) {
  const JsonDocument document(json, where);
  const JsonFields fields(document.root(), where);
  if (fields.text("format") != kFormatName || fields.count("format_version") != kFormatVersion) {
    refuse(where, fmt::format("{} {}", kFormatName, kFormatVersion),
           fmt::format("{} {}", fields.text("format"), fields.count("format_version")));
  }
  PackPlan plan;
  plan.packed = fields.text("state") == "packed";
  plan.options = parse_options(fields);
  plan.tokenizer = fields.text("tokenizer");
  plan.vocab_size = fields.count("vocab_size", 1, INT32_MAX);
  plan.end_of_document =
      static_cast<int32_t>(fields.count("end_of_document", 0, plan.vocab_size - 1));
  plan.unit_bytes = fields.count("unit_bytes", 1);
  for (const JsonValue input : fields.list("inputs")) {
    const JsonFields entry(input,
                           fmt::format("{}[{}]", fields.place("inputs"), plan.inputs.size()));
    const auto last = static_cast<int64_t>(plan.options.inputs.size()) - 1;
    plan.inputs.push_back({entry.text("path"), entry.count("pattern", 0, last),
                           entry.count("bytes"), entry.count("mtime_ns", INT64_MIN, INT64_MAX)});
  }
  plan.units = parse_units(fields, static_cast<int64_t>(plan.inputs.size()));
  return plan;
}

void check_same_job(const PackPlan& there, const PackPlan& asked, const std::string& where) {
  const Json mine = identity_json(asked);
  const Json theirs = identity_json(there);
  for (const auto& [key, value] : theirs.items()) {
    if (mine[key] != value) refuse_other_job(where, key, value.dump(), mine[key].dump());
  }
  if (asked.options.unit_bytes > 0 && asked.unit_bytes != there.unit_bytes) {
    refuse_other_job(where, "unit_bytes", fmt::format("{}", there.unit_bytes),
                     fmt::format("{}", asked.unit_bytes));
  }
  if (there.inputs.size() != asked.inputs.size()) {
    refuse_other_job(where, "inputs", fmt::format("{} files", there.inputs.size()),
                     fmt::format("{}", asked.inputs.size()));
  }
  for (size_t i = 0; i < there.inputs.size(); ++i) {
    const std::string& expected = there.inputs[i].path;
    const std::string& found = asked.inputs[i].path;
    if (expected != found) refuse_other_job(where, fmt::format("inputs[{}]", i), expected, found);
  }
}

void check_same_file(const PackInput& packed, const PackInput& now, const std::string& remedy) {
  if (packed.bytes == now.bytes && packed.mtime_ns == now.mtime_ns) return;
  throw std::invalid_argument(fmt::format("{}: expected {}, as when it was packed, found {}: {}",
                                          packed.path, described(packed), described(now), remedy));
}

void check_unchanged(const PackInput& input) {
  const PackInput now = look_at(input.path, static_cast<size_t>(input.pattern));
  if (now.bytes == input.bytes && now.mtime_ns == input.mtime_ns) return;
  throw std::invalid_argument(
      fmt::format("{}: expected {} bytes, as when packing began, found {}{}: the file was changed "
                  "while it was packed",
                  input.path, input.bytes, now.bytes,
                  now.bytes == input.bytes ? " with another time of modification" : ""));
}

}  // namespace phalanx
