#include "data/shards/dataset_manifest.h"

#include <fmt/format.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "data/file.h"
#include "data/json_fields.h"

namespace phalanx {
namespace {

constexpr int64_t kMaxShardCount = int64_t{1} << 40;
constexpr std::string_view kFormatName = "phalanx.dataset";

// A name that stays inside its folder: no separators, no "..", nothing hidden.
bool is_plain_name(const std::string& name) {
  return !name.empty() && name.size() <= 200 && name.front() != '.' &&
         name.find('/') == std::string::npos && name.find('\0') == std::string::npos;
}

std::vector<BinsEntry> parse_bins(const JsonFields& shard) {
  std::vector<BinsEntry> bins;
  for (const JsonValue entry : shard.list("bins")) {
    const JsonFields fields(entry, fmt::format("{}[{}]", shard.place("bins"), bins.size()));
    const int64_t above = bins.empty() ? 0 : bins.back().sequence_length;
    bins.push_back(
        {fields.count("sequence_length", above + 1), fields.count("bins"), fields.hash("xxh3")});
    if (fields.has("bytes")) bins.back().bytes = fields.count("bytes");
  }
  return bins;
}

ShardEntry parse_shard(const JsonFields& fields, TokenType type) {
  ShardEntry shard;
  shard.file = fields.text("file");
  if (!is_plain_name(shard.file)) {
    refuse(fields.place("file"), "a file name without a folder", Json(shard.file).dump());
  }
  shard.num_tokens = fields.count("tokens", 0, kMaxShardCount);
  shard.num_documents = fields.count("documents", 0, kMaxShardCount);
  shard.bin_bytes = fields.count("bytes", 0, 4 * kMaxShardCount);
  if (shard.bin_bytes != shard.num_tokens * token_bytes(type)) {
    refuse(fields.place("bytes"),
           fmt::format("{} for {} tokens of {}", shard.num_tokens * token_bytes(type),
                       shard.num_tokens, token_type_name(type)),
           fmt::format("{}", shard.bin_bytes));
  }
  shard.bin_xxh3 = fields.hash("bin_xxh3");
  shard.idx_xxh3 = fields.hash("idx_xxh3");
  if (fields.has("idx_bytes")) shard.idx_bytes = fields.count("idx_bytes");
  if (fields.has("origins_xxh3")) shard.origins_xxh3 = fields.hash("origins_xxh3");
  if (fields.has("bins")) shard.bins = parse_bins(fields);
  if (fields.has("head_xxh3")) shard.head_xxh3 = fields.hash("head_xxh3");
  return shard;
}

PackingRecord parse_packing(const JsonFields& fields) {
  PackingRecord packing;
  packing.part = fields.text("part");
  packing.seed = fields.seed("seed");
  packing.validation_per_mille = fields.count("validation_per_mille", 0, 1000);
  packing.documents_read = fields.count("documents_read");
  packing.documents_in_other_part = fields.count("documents_in_other_part");
  packing.rejected_empty = fields.count("rejected_empty");
  if (fields.has("rejected_bad")) packing.rejected_bad = fields.count("rejected_bad");
  if (fields.has("shuffled")) packing.shuffled = fields.flag("shuffled");
  if (fields.has("inputs_xxh3")) packing.inputs_xxh3 = fields.hash("inputs_xxh3");
  size_t i = 0;
  for (const JsonValue input : fields.list("inputs")) {
    const JsonFields entry(input, fmt::format("{}[{}]", fields.place("inputs"), i++));
    packing.inputs.push_back({entry.text("pattern"), entry.count("files"), entry.count("bytes"),
                              entry.count("documents")});
  }
  return packing;
}

TokenType parse_token_type(const JsonFields& fields) {
  const std::string name = fields.text("dtype");
  for (const TokenType type : {TokenType::kUint16, TokenType::kInt32}) {
    if (name == token_type_name(type)) return type;
  }
  refuse(fields.place("dtype"), "uint16 or int32", Json(name).dump());
}

void check_totals(const DatasetManifest& manifest, const JsonFields& fields) {
  const auto check = [&](const char* key, int64_t sum) {
    if (fields.count(key) != sum) {
      refuse(fields.place(key), fmt::format("{}, the sum over the shards", sum),
             fmt::format("{}", fields.count(key)));
    }
  };
  check("tokens", manifest.num_tokens());
  check("documents", manifest.num_documents());
  const PackingRecord& packing = manifest.packing;
  const int64_t accounted = manifest.num_documents() + packing.documents_in_other_part +
                            packing.rejected_empty + packing.rejected_bad;
  if (packing.documents_read != accounted) {
    refuse(fields.place("packing: documents_read"),
           fmt::format("{}, written here + in the other part + rejected", accounted),
           fmt::format("{}", packing.documents_read));
  }
}

}  // namespace

std::string_view dataset_kind_name(DatasetKind kind) {
  return kind == DatasetKind::kOrganic ? "organic" : "synthetic";
}

DatasetKind parse_dataset_kind(std::string_view text) {
  if (text == "organic") return DatasetKind::kOrganic;
  if (text == "synthetic") return DatasetKind::kSynthetic;
  throw std::invalid_argument(
      fmt::format("kind: expected organic or synthetic, found \"{}\"", text));
}

int64_t DatasetManifest::num_tokens() const {
  int64_t sum = 0;
  for (const ShardEntry& shard : shards) sum += shard.num_tokens;
  return sum;
}

int64_t DatasetManifest::num_documents() const {
  int64_t sum = 0;
  for (const ShardEntry& shard : shards) sum += shard.num_documents;
  return sum;
}

std::string DatasetManifest::order_fingerprint() const {
  std::string text = fmt::format("dataset 1\n{}\n{} {} {}\n", tokenizer, vocab_size,
                                 end_of_document, token_type_name(token_type));
  for (const ShardEntry& shard : shards) {
    text += fmt::format("{} {} {} {}\n", shard.num_tokens, shard.num_documents,
                        hash_text(shard.bin_xxh3), hash_text(shard.idx_xxh3));
  }
  return hash_text(xxh3(text));
}

namespace {

void check_format(const JsonFields& fields) {
  if (fields.text("format") != kFormatName) {
    refuse(fields.place("format"), fmt::format("\"{}\"", kFormatName), shown(fields.at("format")));
  }
  if (fields.count("format_version") != kManifestVersion) {
    refuse(fields.place("format_version"), fmt::format("{}", kManifestVersion),
           shown(fields.at("format_version")));
  }
}

DatasetKind parse_kind(const JsonFields& fields) {
  const std::string kind = fields.text("kind");
  if (kind != "organic" && kind != "synthetic") {
    refuse(fields.place("kind"), "organic or synthetic", Json(kind).dump());
  }
  return parse_dataset_kind(kind);
}

Json packing_json(const PackingRecord& packing) {
  Json inputs = Json::array();
  for (const InputEntry& input : packing.inputs) {
    inputs.push_back({{"pattern", input.pattern},
                      {"files", input.num_files},
                      {"bytes", input.bytes},
                      {"documents", input.num_documents}});
  }
  Json json = {{"part", packing.part},
               {"seed", packing.seed},
               {"validation_per_mille", packing.validation_per_mille},
               {"documents_read", packing.documents_read},
               {"documents_in_other_part", packing.documents_in_other_part},
               {"rejected_empty", packing.rejected_empty},
               {"rejected_bad", packing.rejected_bad},
               {"shuffled", packing.shuffled},
               {"inputs", inputs}};
  if (packing.inputs_xxh3) json["inputs_xxh3"] = hash_text(*packing.inputs_xxh3);
  return json;
}

Json shard_json(const ShardEntry& shard) {
  Json json = {{"file", shard.file},
               {"tokens", shard.num_tokens},
               {"documents", shard.num_documents},
               {"bytes", shard.bin_bytes},
               {"bin_xxh3", hash_text(shard.bin_xxh3)},
               {"idx_xxh3", hash_text(shard.idx_xxh3)}};
  if (shard.idx_bytes > 0) json["idx_bytes"] = shard.idx_bytes;
  if (shard.head_xxh3) json["head_xxh3"] = hash_text(*shard.head_xxh3);
  if (shard.origins_xxh3) json["origins_xxh3"] = hash_text(*shard.origins_xxh3);
  for (const BinsEntry& bins : shard.bins) {
    json["bins"].push_back({{"sequence_length", bins.sequence_length},
                            {"bins", bins.num_bins},
                            {"xxh3", hash_text(bins.xxh3)}});
    if (bins.bytes > 0) json["bins"].back()["bytes"] = bins.bytes;
  }
  return json;
}

}  // namespace

DatasetManifest parse_manifest(std::string_view json, const std::string& where) {
  const JsonDocument document(json, where);
  const JsonFields fields(document.root(), where);
  check_format(fields);
  DatasetManifest manifest;
  manifest.name = fields.text("name");
  manifest.kind = parse_kind(fields);
  manifest.licence = fields.text("licence");
  manifest.tokenizer = fields.text("tokenizer");
  manifest.vocab_size = fields.count("vocab_size", 1, std::numeric_limits<int32_t>::max());
  manifest.end_of_document =
      static_cast<int32_t>(fields.count("end_of_document", 0, manifest.vocab_size - 1));
  manifest.token_type = parse_token_type(fields);
  manifest.text_bytes = fields.count("text_bytes");
  manifest.packing = parse_packing(JsonFields(fields.at("packing"), fields.place("packing")));
  const std::string place = fields.place("shards");
  for (const JsonValue shard : fields.list("shards")) {
    const JsonFields entry(shard, fmt::format("{}[{}]", place, manifest.shards.size()));
    manifest.shards.push_back(parse_shard(entry, manifest.token_type));
  }
  check_totals(manifest, fields);
  return manifest;
}

std::string manifest_json(const DatasetManifest& manifest) {
  Json shards = Json::array();
  for (const ShardEntry& shard : manifest.shards) shards.push_back(shard_json(shard));
  const Json document = {{"format", kFormatName},
                         {"format_version", kManifestVersion},
                         {"name", manifest.name},
                         {"kind", dataset_kind_name(manifest.kind)},
                         {"licence", manifest.licence},
                         {"tokenizer", manifest.tokenizer},
                         {"vocab_size", manifest.vocab_size},
                         {"end_of_document", manifest.end_of_document},
                         {"dtype", token_type_name(manifest.token_type)},
                         {"tokens", manifest.num_tokens()},
                         {"documents", manifest.num_documents()},
                         {"text_bytes", manifest.text_bytes},
                         {"packing", packing_json(manifest.packing)},
                         {"shards", shards}};
  return document.dump(1) + "\n";
}

ShardEntry parse_shard_entry(std::string_view json, const std::string& where, TokenType type) {
  const JsonDocument document(json, where);
  return parse_shard(JsonFields(document.root(), where), type);
}

std::string shard_entry_json(const ShardEntry& shard) { return shard_json(shard).dump(1) + "\n"; }

DatasetManifest load_manifest(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / kManifestName;
  return parse_manifest(read_text(path, kMaxManifestBytes), path.string());
}

}  // namespace phalanx
