#include "trainer/checkpoint/manifest.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <iterator>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <tuple>
#include <utility>

#include "model/hf_layout.h"
#include "trainer/checkpoint/safetensors.h"
#include "trainer/checkpoint/slice_layout.h"
#include "trainer/checkpoint/strict_json.h"

namespace phalanx {
namespace {

using nlohmann::json;

constexpr const char* kFormat = "phalanx checkpoint";

json model_json(const Phi4Config& model) {
  json fields;
  for (const HfSize& size : kHfSizes) fields[size.key] = model.*size.field;
  fields["rms_norm_eps"] = model.rms_norm_eps;
  fields["initializer_range"] = model.initializer_range;
  fields["tie_word_embeddings"] = model.tie_word_embeddings;
  fields["partial_rotary_factor"] = model.partial_rotary_factor;
  fields["sliding_window"] = model.sliding_window;
  if (model.rope_scaling == RopeScaling::kNone) return fields;
  fields["rope_scaling"] = {
      {"type", "longrope"},
      {"short_factor", model.rope_short_factor},
      {"long_factor", model.rope_long_factor},
      {"original_max_position_embeddings", model.original_max_position_embeddings},
      {"max_position_embeddings", model.max_position_embeddings}};
  return fields;
}

/// Absent in manifests of models that had none of it.
void parse_position_fields(const json& fields, const std::string& where, Phi4Config& model) {
  if (fields.contains("partial_rotary_factor")) {
    model.partial_rotary_factor = fields["partial_rotary_factor"].get<double>();
  }
  if (fields.contains("sliding_window")) {
    model.sliding_window = integer(fields["sliding_window"], where + ".sliding_window");
  }
  if (!fields.contains("rope_scaling")) return;
  const json& scaling = fields["rope_scaling"];
  const std::string place = where + ".rope_scaling";
  const std::string type = text(member(scaling, "type", place), place + ".type");
  if (type != "longrope") refuse_json(place + ".type", "\"longrope\"", scaling["type"]);
  model.rope_scaling = RopeScaling::kLongRope;
  model.rope_short_factor = member(scaling, "short_factor", place).get<std::vector<double>>();
  model.rope_long_factor = member(scaling, "long_factor", place).get<std::vector<double>>();
  const auto length = [&](const char* key) {
    return integer(member(scaling, key, place), place + "." + key);
  };
  model.original_max_position_embeddings = length("original_max_position_embeddings");
  model.max_position_embeddings = length("max_position_embeddings");
}

Phi4Config parse_model(const json& fields, const std::string& where) {
  Phi4Config model;
  for (const HfSize& size : kHfSizes) {
    model.*size.field = integer(member(fields, size.key, where), where + "." + size.key);
  }
  try {
    model.rms_norm_eps = member(fields, "rms_norm_eps", where).get<double>();
    model.initializer_range = member(fields, "initializer_range", where).get<double>();
    model.tie_word_embeddings = member(fields, "tie_word_embeddings", where).get<bool>();
    parse_position_fields(fields, where, model);
  } catch (const json::exception& error) {
    throw std::invalid_argument(fmt::format("{}: {}", where, error.what()));
  }
  return model;
}

json file_json(const ManifestFile& file) {
  json hashes = json::array();
  for (const uint64_t hash : file.block_hashes) hashes.push_back(hash_text(hash));
  return {{"bytes", file.bytes}, {"xxh3", std::move(hashes)}};
}

uint64_t parse_hash(const json& value, const std::string& where) {
  const std::string digits = text(value, where);
  uint64_t hash = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), hash, 16);
  if (error != std::errc() || end != digits.data() + digits.size() || digits.size() != 16) {
    throw std::invalid_argument(
        fmt::format("{}: expected 16 hexadecimal digits, found {}", where, digits));
  }
  return hash;
}

// A name can reach nothing outside the checkpoint's folder.
void check_file_name(const std::string& name, const std::string& where) {
  const bool plain = !name.empty() && name.size() < 256 && name.front() != '.' &&
                     std::all_of(name.begin(), name.end(), [](unsigned char c) {
                       return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
                     });
  if (!plain) throw std::invalid_argument(where + ": expected a plain file name");
}

ManifestFile parse_file(const json& value, const std::string& where) {
  ManifestFile file;
  file.bytes = integer(member(value, "bytes", where), where + ".bytes");
  for (const json& hash : member(value, "xxh3", where)) {
    file.block_hashes.push_back(parse_hash(hash, where + ".xxh3"));
  }
  const auto blocks = static_cast<int64_t>(file.block_hashes.size());
  if (file.bytes < 0 ||
      blocks != file.bytes / kHashBlockBytes + (file.bytes % kHashBlockBytes > 0)) {
    throw std::invalid_argument(
        fmt::format("{}: expected one hash for each {} bytes, found {} for "
                    "{} bytes",
                    where, kHashBlockBytes, blocks, file.bytes));
  }
  return file;
}

json tensor_json(const ManifestTensor& tensor) {
  json pieces = json::array();
  for (const ManifestPiece& piece : tensor.pieces) {
    pieces.push_back({{"file", piece.file},
                      {"dim", piece.dim},
                      {"rectangle", {piece.rectangle.begin, piece.rectangle.end}},
                      {"elements", {piece.elements.begin, piece.elements.end}}});
  }
  return {{"shape", tensor.shape}, {"pieces", std::move(pieces)}};
}

Range parse_range(const json& value, const std::string& where) {
  if (!value.is_array() || value.size() != 2) {
    throw std::invalid_argument(where + ": expected [begin, end]");
  }
  return {integer(value[0], where), integer(value[1], where)};
}

ManifestTensor parse_tensor(const json& value, const std::string& where) {
  ManifestTensor tensor;
  for (const json& size : member(value, "shape", where)) {
    tensor.shape.push_back(integer(size, where + ".shape"));
  }
  (void)checked_numel(tensor.shape, where);
  for (const json& item : member(value, "pieces", where)) {
    ManifestPiece piece;
    piece.file = text(member(item, "file", where), where + ".file");
    piece.dim = integer(member(item, "dim", where), where + ".dim");
    piece.rectangle = parse_range(member(item, "rectangle", where), where + ".rectangle");
    piece.elements = parse_range(member(item, "elements", where), where + ".elements");
    tensor.pieces.push_back(std::move(piece));
  }
  return tensor;
}

// Ranges in order of their beginnings must follow one another from 0 to `end`.
void check_tiles(std::vector<Range> ranges, int64_t end, const std::string& where) {
  std::sort(ranges.begin(), ranges.end(), [](const Range& a, const Range& b) {
    return std::tie(a.begin, a.end) < std::tie(b.begin, b.end);
  });
  int64_t covered = 0;
  for (const Range& range : ranges) {
    if (range.begin != covered || range.end < range.begin) {
      throw std::invalid_argument(
          fmt::format("{}: expected a range that begins at {}, found "
                      "[{}, {})",
                      where, covered, range.begin, range.end));
    }
    covered = range.end;
  }
  if (covered != end) {
    throw std::invalid_argument(
        fmt::format("{}: expected ranges up to {}, found them to end at {}", where, end, covered));
  }
}

void check_tensor(const Manifest& manifest, const ManifestTensor& tensor,
                  const std::string& where) {
  if (tensor.shape.empty()) throw std::invalid_argument(where + ": expected a dimension");
  std::map<std::pair<int64_t, int64_t>, std::vector<Range>> elements;  // of each rectangle
  const int64_t dim = tensor.pieces.empty() ? 0 : tensor.pieces.front().dim;
  if (dim < 0 || dim >= static_cast<int64_t>(tensor.shape.size())) {
    throw std::invalid_argument(fmt::format("{}: dim {} does not exist", where, dim));
  }
  for (const ManifestPiece& piece : tensor.pieces) {
    if (!manifest.files.contains(piece.file)) {
      throw std::invalid_argument(fmt::format("{}: file {} is not listed", where, piece.file));
    }
    if (piece.dim != dim) {
      throw std::invalid_argument(
          fmt::format("{}: expected pieces cut on dim {}, found dim {}", where, dim, piece.dim));
    }
    elements[{piece.rectangle.begin, piece.rectangle.end}].push_back(piece.elements);
  }
  std::vector<Range> rectangles;
  for (const auto& [edges, ranges] : elements) rectangles.push_back({edges.first, edges.second});
  const bool has_elements = checked_numel(tensor.shape, where) > 0;
  check_tiles(rectangles, has_elements ? tensor.shape[dim] : 0, where + ": rectangles");
  for (const auto& [edges, ranges] : elements) {
    const SliceLayout slice = slice_layout(tensor.shape, dim, {edges.first, edges.second});
    check_tiles(ranges, slice.numel, where + ": elements");
  }
}

template <typename Value>
void check_field(const char* field, const Value& expected, const Value& found,
                 const std::string& where) {
  if (expected == found) return;
  throw std::invalid_argument(
      fmt::format("{}: model.{}: expected {}, found {}", where, field, expected, found));
}

void check_factors(const char* field, const std::vector<double>& expected,
                   const std::vector<double>& found, const std::string& where) {
  check_field(field, fmt::format("[{}]", fmt::join(expected, ", ")),
              fmt::format("[{}]", fmt::join(found, ", ")), where);
}

const char* name_of(RopeScaling scaling) {
  return scaling == RopeScaling::kLongRope ? "longrope" : "none";
}

}  // namespace

void check_same_positions(const Phi4Config& expected, const Phi4Config& found,
                          const std::string& where) {
  check_field("partial_rotary_factor", expected.partial_rotary_factor, found.partial_rotary_factor,
              where);
  check_field("sliding_window", expected.sliding_window, found.sliding_window, where);
  check_field("rope_scaling", std::string(name_of(expected.rope_scaling)),
              std::string(name_of(found.rope_scaling)), where);
  check_factors("rope_short_factor", expected.rope_short_factor, found.rope_short_factor, where);
  check_factors("rope_long_factor", expected.rope_long_factor, found.rope_long_factor, where);
  check_field("original_max_position_embeddings", expected.original_max_position_embeddings,
              found.original_max_position_embeddings, where);
  check_field("max_position_embeddings", expected.max_position_embeddings,
              found.max_position_embeddings, where);
}

std::string manifest_text(const Manifest& manifest) {
  json body{{"step", manifest.step},
            {"tokens", manifest.tokens},
            {"world",
             {{"tensor_parallel_size", manifest.tensor_parallel_size},
              {"data_parallel_size", manifest.data_parallel_size}}},
            {"model", model_json(manifest.model)},
            {"files", json::object()},
            {"tensors", json::object()}};
  for (const auto& [name, file] : manifest.files) body["files"][name] = file_json(file);
  for (const auto& [name, tensor] : manifest.tensors) body["tensors"][name] = tensor_json(tensor);
  const std::string hash = hash_text(xxh3(body.dump()));
  nlohmann::ordered_json whole;
  whole["format"] = kFormat;
  whole["version"] = kCheckpointVersion;
  whole["xxh3"] = hash;
  whole["checkpoint"] = std::move(body);
  return whole.dump(1) + "\n";
}

Manifest parse_checkpoint_manifest(std::string_view input, const std::string& where) {
  const json whole = parse_strict_json(input, where);
  const std::string format = text(member(whole, "format", where), where + ": format");
  if (format != kFormat) {
    throw std::invalid_argument(
        fmt::format("{}: format: expected \"{}\", found \"{}\"", where, kFormat, format));
  }
  const int64_t version = integer(member(whole, "version", where), where + ": version");
  if (version != kCheckpointVersion) {
    throw std::invalid_argument(
        fmt::format("{}: version: expected {}, found {}", where, kCheckpointVersion, version));
  }
  const json& body = member(whole, "checkpoint", where);
  const uint64_t expected = parse_hash(member(whole, "xxh3", where), where + ": xxh3");
  const uint64_t found = xxh3(body.dump());
  if (expected != found) {
    throw std::invalid_argument(fmt::format("{}: expected hash {}, found {}: the file is damaged",
                                            where, hash_text(expected), hash_text(found)));
  }
  Manifest manifest;
  manifest.step = integer(member(body, "step", where), where + ": step");
  manifest.tokens = integer(member(body, "tokens", where), where + ": tokens");
  const json& world = member(body, "world", where);
  manifest.tensor_parallel_size =
      integer(member(world, "tensor_parallel_size", where), where + ": world");
  manifest.data_parallel_size =
      integer(member(world, "data_parallel_size", where), where + ": world");
  manifest.model = parse_model(member(body, "model", where), where + ": model");
  for (const auto& [name, file] : member(body, "files", where).items()) {
    check_file_name(name, fmt::format("{}: file {}", where, name));
    manifest.files[name] = parse_file(file, fmt::format("{}: file {}", where, name));
  }
  for (const auto& [name, tensor] : member(body, "tensors", where).items()) {
    manifest.tensors[name] = parse_tensor(tensor, fmt::format("{}: tensor {}", where, name));
  }
  return manifest;
}

void merge_part(Manifest& whole, Manifest part) {
  whole.files.merge(part.files);
  for (auto& [name, tensor] : part.tensors) {
    ManifestTensor& target = whole.tensors[name];
    target.shape = std::move(tensor.shape);
    std::move(tensor.pieces.begin(), tensor.pieces.end(), std::back_inserter(target.pieces));
  }
}

void check_coverage(const Manifest& manifest, const std::string& where) {
  for (const auto& [name, tensor] : manifest.tensors) {
    check_tensor(manifest, tensor, fmt::format("{}: tensor {}", where, name));
  }
}

void check_same_model(const Phi4Config& expected, const Phi4Config& found,
                      const std::string& where) {
  for (const HfSize& size : kHfSizes) {
    check_field(size.key, expected.*size.field, found.*size.field, where);
  }
  check_field("rms_norm_eps", expected.rms_norm_eps, found.rms_norm_eps, where);
  check_field("tie_word_embeddings", expected.tie_word_embeddings, found.tie_word_embeddings,
              where);
  check_same_positions(expected, found, where);
}

}  // namespace phalanx
