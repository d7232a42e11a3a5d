#include "trainer/checkpoint/manifest.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <iterator>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <tuple>
#include <utility>

#include "data/json_fields.h"
#include "data/json_writer.h"
#include "trainer/checkpoint/manifest_model.h"
#include "trainer/checkpoint/slice_layout.h"

namespace phalanx {
namespace {

constexpr const char* kFormat = "phalanx checkpoint";

// Keys come in alphabetical order: the hash is one of the body's text.
void write_file(JsonWriter& json, const ManifestFile& file) {
  json.begin_object();
  json.member("bytes", file.bytes);
  json.key("xxh3");
  json.begin_list();
  for (const uint64_t hash : file.block_hashes) json.value(hash_text(hash));
  json.end_list();
  json.end_object();
}

// A name can reach nothing outside the checkpoint's folder.
void check_file_name(std::string_view name, const std::string& where) {
  const bool plain = !name.empty() && name.size() < 256 && name.front() != '.' &&
                     std::all_of(name.begin(), name.end(), [](unsigned char c) {
                       return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
                     });
  if (plain) return;
  const std::string quoted = nlohmann::json(name).dump(-1, ' ', /*ensure_ascii=*/true);
  throw std::invalid_argument(fmt::format("{}: file {}: expected a plain file name", where,
                                          quoted.substr(1, quoted.size() - 2)));
}

ManifestFile parse_file(const JsonFields& fields, const std::string& where) {
  ManifestFile file;
  file.bytes = fields.count("bytes");
  for (const JsonValue hash : fields.list("xxh3")) {
    const auto place = [&] {
      return fmt::format("{}[{}]", fields.place("xxh3"), file.block_hashes.size());
    };
    file.block_hashes.push_back(json_hash(hash, place));
  }
  const auto blocks = static_cast<int64_t>(file.block_hashes.size());
  if (blocks != file.bytes / kHashBlockBytes + (file.bytes % kHashBlockBytes > 0)) {
    throw std::invalid_argument(
        fmt::format("{}: expected one hash for each {} bytes, found {} for "
                    "{} bytes",
                    where, kHashBlockBytes, blocks, file.bytes));
  }
  return file;
}

void write_range(JsonWriter& json, const char* key, Range range) {
  json.key(key);
  json.begin_list();
  json.value(range.begin);
  json.value(range.end);
  json.end_list();
}

void write_tensor(JsonWriter& json, const ManifestTensor& tensor) {
  json.begin_object();
  json.key("pieces");
  json.begin_list();
  for (const ManifestPiece& piece : tensor.pieces) {
    json.begin_object();
    json.member("dim", piece.dim);
    write_range(json, "elements", piece.elements);
    json.member("file", piece.file);
    write_range(json, "rectangle", piece.rectangle);
    json.end_object();
  }
  json.end_list();
  json.key("shape");
  json.begin_list();
  for (const int64_t size : tensor.shape) json.value(size);
  json.end_list();
  if (tensor.source_dtype) json.member("source_dtype", dtype_name(*tensor.source_dtype));
  json.end_object();
}

Range parse_range(const JsonFields& fields, const char* key) {
  const simdjson::dom::array edges = fields.list(key);
  if (edges.size() != 2) {
    refuse(fields.place(key), "[begin, end]", fmt::format("{} values", edges.size()));
  }
  const auto place = [&] { return fields.place(key); };
  return {json_count(edges.at(0), place), json_count(edges.at(1), place)};
}

ManifestPiece parse_piece(const JsonFields& fields) {
  return {fields.text("file"), fields.count("dim"), parse_range(fields, "rectangle"),
          parse_range(fields, "elements")};
}

ManifestTensor parse_tensor(const JsonFields& fields, const std::string& where) {
  ManifestTensor tensor;
  for (const JsonValue size : fields.list("shape")) {
    tensor.shape.push_back(json_count(size, [&] { return fields.place("shape"); }));
  }
  (void)checked_numel(tensor.shape, where);
  for (const JsonValue item : fields.list("pieces")) {
    const std::string place = fmt::format("{}[{}]", fields.place("pieces"), tensor.pieces.size());
    tensor.pieces.push_back(parse_piece(JsonFields(item, place)));
  }
  if (!fields.has("source_dtype")) return tensor;
  const std::string dtype = fields.text("source_dtype");
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

Manifest parse_body(const JsonFields& body, const std::string& where) {
  Manifest manifest;
  manifest.step = body.count("step");
  manifest.tokens = body.count("tokens");
  const JsonFields world(body.at("world"), body.place("world"));
  manifest.tensor_parallel_size = world.count("tensor_parallel_size", 1);
  manifest.data_parallel_size = world.count("data_parallel_size", 1);
  if (body.has("weights_only")) manifest.weights_only = body.flag("weights_only");
  if (body.has("saved_at")) manifest.saved_at = body.count("saved_at");
  manifest.model = parse_model(JsonFields(body.at("model"), body.place("model")));
  const JsonFields files(body.at("files"), body.place("files"));
  for (const auto& [name, file] : files.members()) {
    check_file_name(name, where);
    const std::string place = fmt::format("{}: file {}", where, name);
    manifest.files.emplace(name, parse_file(JsonFields(file, place), place));
  }
  const JsonFields tensors(body.at("tensors"), body.place("tensors"));
  for (const auto& [name, tensor] : tensors.members()) {
    const std::string place = fmt::format("{}: tensor {}", where, name);
    manifest.tensors.emplace(name, parse_tensor(JsonFields(tensor, place), place));
  }
  return manifest;
}

void write_body(JsonWriter& json, const Manifest& manifest) {
  json.begin_object();
  json.key("files");
  json.begin_object();
  for (const auto& [name, file] : manifest.files) {
    json.key(name);
    write_file(json, file);
  }
  json.end_object();
  json.key("model");
  write_model(json, manifest.model);
  if (manifest.saved_at) json.member("saved_at", *manifest.saved_at);
  json.member("step", manifest.step);
  json.key("tensors");
  json.begin_object();
  for (const auto& [name, tensor] : manifest.tensors) {
    json.key(name);
    write_tensor(json, tensor);
  }
  json.end_object();
  json.member("tokens", manifest.tokens);
  if (manifest.weights_only) json.member("weights_only", true);
  json.key("world");
  json.begin_object();
  json.member("data_parallel_size", manifest.data_parallel_size);
  json.member("tensor_parallel_size", manifest.tensor_parallel_size);
  json.end_object();
  json.end_object();
}

}  // namespace

std::string manifest_text(const Manifest& manifest) {
  JsonWriter hashed;
  write_body(hashed, manifest);
  JsonWriter whole(/*indent=*/1);
  whole.begin_object();
  whole.member("format", kFormat);
  whole.member("version", kCheckpointVersion);
  whole.member("xxh3", hash_text(xxh3(hashed.text())));
  whole.key("checkpoint");
  write_body(whole, manifest);
  whole.end_object();
  return whole.text() + "\n";
}

Manifest parse_checkpoint_manifest(std::string_view input, const std::string& where) {
  const JsonDocument document(input, where);
  const JsonFields whole(document.root(), where);
  const std::string format = whole.text("format");
  if (format != kFormat) {
    throw std::invalid_argument(
        fmt::format("{}: format: expected \"{}\", found \"{}\"", where, kFormat, format));
  }
  const int64_t version = whole.count("version");
  if (version != kCheckpointVersion) {
    throw std::invalid_argument(
        fmt::format("{}: version: expected {}, found {}", where, kCheckpointVersion, version));
  }
  const JsonValue body = whole.at("checkpoint");
  const uint64_t expected = whole.hash("xxh3");
  const std::string hashed = simdjson::minify(body);
  const uint64_t found = xxh3(hashed);
  if (expected != found) {
    throw std::invalid_argument(fmt::format("{}: expected hash {}, found {}: the file is damaged",
                                            where, hash_text(expected), hash_text(found)));
  }
  return parse_body(JsonFields(body, where), where);
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
