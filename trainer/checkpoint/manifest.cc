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

#include "trainer/checkpoint/manifest_model.h"
#include "trainer/checkpoint/slice_layout.h"
#include "trainer/checkpoint/strict_json.h"

namespace phalanx {
namespace {

using nlohmann::json;

constexpr const char* kFormat = "phalanx checkpoint";

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
  if (plain) return;
  const std::string quoted = json(name).dump(-1, ' ', /*ensure_ascii=*/true);
  throw std::invalid_argument(fmt::format("{}: file {}: expected a plain file name", where,
                                          quoted.substr(1, quoted.size() - 2)));
}

ManifestFile parse_file(const json& value, const std::string& where) {
  ManifestFile file;
  file.bytes = integer(member(value, "bytes", where), where + ".bytes");
  for (const json& hash : array(member(value, "xxh3", where), where + ".xxh3")) {
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
  json entry{{"shape", tensor.shape}, {"pieces", std::move(pieces)}};
  if (tensor.source_dtype) entry["source_dtype"] = dtype_name(*tensor.source_dtype);
  return entry;
}

Range parse_range(const json& value, const std::string& where) {
  if (!value.is_array() || value.size() != 2) {
    throw std::invalid_argument(where + ": expected [begin, end]");
  }
  return {integer(value[0], where), integer(value[1], where)};
}

ManifestTensor parse_tensor(const json& value, const std::string& where) {
  ManifestTensor tensor;
  for (const json& size : array(member(value, "shape", where), where + ".shape")) {
    tensor.shape.push_back(integer(size, where + ".shape"));
  }
  (void)checked_numel(tensor.shape, where);
  for (const json& item : array(member(value, "pieces", where), where + ".pieces")) {
    ManifestPiece piece;
    piece.file = text(member(item, "file", where), where + ".file");
    piece.dim = integer(member(item, "dim", where), where + ".dim");
    piece.rectangle = parse_range(member(item, "rectangle", where), where + ".rectangle");
    piece.elements = parse_range(member(item, "elements", where), where + ".elements");
    tensor.pieces.push_back(std::move(piece));
  }
  if (!value.contains("source_dtype")) return tensor;
  const std::string dtype = text(value["source_dtype"], where + ".source_dtype");
  tensor.source_dtype = find_dtype(dtype);
  if (!tensor.source_dtype) {
    throw std::invalid_argument(fmt::format("{}: unknown source_dtype {}", where, dtype));
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

Manifest parse_body(const json& body, const std::string& where) {
  Manifest manifest;
  manifest.step = count(member(body, "step", where), 0, where + ": step");
  manifest.tokens = count(member(body, "tokens", where), 0, where + ": tokens");
  const json& world = member(body, "world", where);
  manifest.tensor_parallel_size =
      count(member(world, "tensor_parallel_size", where), 1, where + ": world");
  manifest.data_parallel_size =
      count(member(world, "data_parallel_size", where), 1, where + ": world");
  if (body.contains("weights_only")) {
    if (!body["weights_only"].is_boolean()) {
      refuse_json(where + ": weights_only", "true or false", body["weights_only"]);
    }
    manifest.weights_only = body["weights_only"].get<bool>();
  }
  if (body.contains("saved_at")) {
    manifest.saved_at = integer(body["saved_at"], where + ": saved_at");
  }
  manifest.model = parse_model_json(member(body, "model", where), where + ": model");
  for (const auto& [name, file] : object(member(body, "files", where), where + ": files").items()) {
    check_file_name(name, where);
    manifest.files[name] = parse_file(file, fmt::format("{}: file {}", where, name));
  }
  const json& tensors = object(member(body, "tensors", where), where + ": tensors");
  for (const auto& [name, tensor] : tensors.items()) {
    manifest.tensors[name] = parse_tensor(tensor, fmt::format("{}: tensor {}", where, name));
  }
  return manifest;
}

}  // namespace

std::string manifest_text(const Manifest& manifest) {
  json body{{"step", manifest.step},
            {"tokens", manifest.tokens},
            {"world",
             {{"tensor_parallel_size", manifest.tensor_parallel_size},
              {"data_parallel_size", manifest.data_parallel_size}}},
            {"model", model_json(manifest.model)},
            {"files", json::object()},
            {"tensors", json::object()}};
  if (manifest.weights_only) body["weights_only"] = true;
  if (manifest.saved_at) body["saved_at"] = *manifest.saved_at;
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
  return parse_body(body, where);
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

}  // namespace phalanx
