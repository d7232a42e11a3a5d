#include "trainer/checkpoint/hf_folder.h"

#include <c10/util/BFloat16.h>
#include <c10/util/Half.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>
#include <utility>

#include "trainer/checkpoint/hf_config.h"
#include "trainer/checkpoint/manifest_model.h"
#include "trainer/checkpoint/share_pieces.h"
#include "trainer/checkpoint/strict_json.h"

namespace phalanx {
namespace {

constexpr int64_t kMaxIndexBytes = int64_t{64} << 20;
constexpr size_t kConvertedValues = size_t{1} << 20;
constexpr int64_t kComparedBytes = int64_t{4} << 20;
constexpr const char* kHead = "lm_head.weight";
constexpr const char* kWholeFile = "model.safetensors";
constexpr const char* kIndexFile = "model.safetensors.index.json";

// What the index says: the file of each tensor. Empty: the folder has one file and no index.
std::map<std::string, std::string> read_index(const std::filesystem::path& folder) {
  if (std::filesystem::exists(folder / kWholeFile)) return {};
  const std::filesystem::path index = folder / kIndexFile;
  if (!std::filesystem::exists(index)) {
    throw std::invalid_argument(fmt::format("{}: expected {} or {}, found neither", folder.string(),
                                            kWholeFile, kIndexFile));
  }
  const std::string where = index.string();
  const nlohmann::json whole = parse_strict_json(read_text(index, kMaxIndexBytes), where);
  std::map<std::string, std::string> files;
  for (const auto& [tensor, file] : member(whole, "weight_map", where).items()) {
    const std::string place = fmt::format("{}: weight_map.{}", where, tensor);
    const std::string name = text(file, place);
    if (name.empty() || name.find('/') != std::string::npos || name.front() == '.') {
      throw std::invalid_argument(fmt::format("{}: expected a file name, found {}", place, name));
    }
    if (!std::filesystem::exists(folder / name)) {
      throw std::invalid_argument(
          fmt::format("{}: expected the file {} in the folder, found none", place, name));
    }
    files[tensor] = name;
  }
  return files;
}

// Left in old files: constants that the model computes.
bool is_computed(const std::string& name) { return name.ends_with(".rotary_emb.inv_freq"); }

template <typename Narrow>
void read_converted(const File& file, int64_t offset, std::span<float> values) {
  std::vector<Narrow> narrow(std::min(values.size(), kConvertedValues));
  while (!values.empty()) {
    const std::span<Narrow> part = std::span(narrow).first(std::min(narrow.size(), values.size()));
    file.read_exact(offset, std::as_writable_bytes(part));
    std::copy(part.begin(), part.end(), values.begin());
    offset += static_cast<int64_t>(part.size_bytes());
    values = values.subspan(part.size());
  }
}

void check_finite(std::span<const float> values, const std::string& where, int64_t first_element) {
  const auto bad =
      std::find_if(values.begin(), values.end(), [](float value) { return !std::isfinite(value); });
  if (bad == values.end()) return;
  throw std::invalid_argument(fmt::format("{}: element {}: expected a finite number, found {}",
                                          where, first_element + (bad - values.begin()), *bad));
}

}  // namespace

HfFolder::HfFolder(const std::filesystem::path& folder, const Phi4Config& model) : folder_(folder) {
  const std::map<std::string, std::string> files_by_tensor = read_index(folder);
  std::set<std::string> names;
  for (const auto& [tensor, file] : files_by_tensor) names.insert(file);
  if (files_by_tensor.empty()) names.insert(kWholeFile);
  for (const std::string& name : names) add_file(name);
  if (!files_by_tensor.empty()) check_index(files_by_tensor);
  for (const HfTensor& tensor : hf_tensors(model)) add_tensor(tensor);
  for (const auto& [name, stored] : stored_) {
    if (is_computed(name)) continue;
    if (model.tie_word_embeddings && name == kHead) {
      check_tied_head(*stored.first, stored.second);
      continue;
    }
    throw std::invalid_argument(
        fmt::format("{}: tensor {}: found shape [{}], but the model has no "
                    "such tensor",
                    stored.first->path().string(), name, fmt::join(stored.second.shape, ", ")));
  }
}

void HfFolder::add_file(const std::string& name) {
  const File& file = files_.emplace(name, File::open_read(folder_ / name)).first->second;
  const auto read_part = [&](int64_t offset, std::span<std::byte> bytes) {
    file.read_exact(offset, bytes);
  };
  const std::string path = file.path().string();
  SafetensorsHeader header = read_safetensors_header(path, file.size(), read_part);
  for (StoredTensor& tensor : header.tensors) {
    std::string tensor_name = tensor.name;
    const auto [entry, is_new] =
        stored_.try_emplace(std::move(tensor_name), &file, std::move(tensor));
    if (is_new) continue;
    throw std::invalid_argument(fmt::format("{}: tensor {}: found a second time, first in {}", path,
                                            entry->first, entry->second.first->path().string()));
  }
}

// Both ways: a file of another download would otherwise go unnoticed.
void HfFolder::check_index(const std::map<std::string, std::string>& files_by_tensor) const {
  const std::string index = (folder_ / kIndexFile).string();
  for (const auto& [tensor, file] : files_by_tensor) {
    const auto found = stored_.find(tensor);
    if (found != stored_.end() && found->second.first == &files_.at(file)) continue;
    throw std::invalid_argument(
        fmt::format("{}: weight_map.{}: expected the tensor in {}, found {}", index, tensor, file,
                    found == stored_.end() ? "no such tensor"
                                           : "it in " + found->second.first->path().string()));
  }
  for (const auto& [tensor, stored] : stored_) {
    if (files_by_tensor.contains(tensor)) continue;
    throw std::invalid_argument(fmt::format("{}: tensor {}: expected its name in {}, found none",
                                            stored.first->path().string(), tensor, index));
  }
}

void HfFolder::add_tensor(const HfTensor& tensor) {
  const auto found = stored_.find(tensor.name);
  if (found == stored_.end()) {
    throw std::invalid_argument(
        fmt::format("{}: tensor {}: expected shape [{}], found no such "
                    "tensor",
                    description(), tensor.name, fmt::join(tensor.shape, ", ")));
  }
  const auto& [file, stored] = found->second;
  const std::string where = fmt::format("{}: tensor {}", file->path().string(), tensor.name);
  if (stored.shape != tensor.shape) {
    throw std::invalid_argument(fmt::format("{}: expected shape [{}], found [{}]", where,
                                            fmt::join(tensor.shape, ", "),
                                            fmt::join(stored.shape, ", ")));
  }
  if (stored.dtype != Dtype::kF32 && stored.dtype != Dtype::kBF16 && stored.dtype != Dtype::kF16) {
    throw std::invalid_argument(
        fmt::format("{}: expected F32, BF16 or F16, found {}", where, dtype_name(stored.dtype)));
  }
  int64_t element = 0;
  for (const LogicalTensor& part : tensor.parts) {
    const int64_t begin = stored.begin + element * dtype_bytes(stored.dtype);
    places_[part.name] = {file, tensor.name, stored.dtype, begin, element};
    shapes_[part.name] = part.shape;
    element += checked_numel(part.shape, where);
  }
  stored_.erase(found);
}

// Some files hold the one matrix of tied embeddings twice. Two matrices are another model.
void HfFolder::check_tied_head(const File& file, const StoredTensor& head) const {
  const Place& table = places_.at("token_embedding.weight");
  const std::string where = fmt::format("{}: tensor {}", file.path().string(), head.name);
  const std::string expected =
      fmt::format("expected {}, as the embeddings are tied", table.stored_name);
  if (head.dtype != table.dtype || head.shape != shapes_.at("token_embedding.weight")) {
    throw std::invalid_argument(fmt::format("{}: {}, found {} [{}]", where, expected,
                                            dtype_name(head.dtype), fmt::join(head.shape, ", ")));
  }
  std::vector<std::byte> ours, theirs;
  for (int64_t begin = head.begin; begin < head.end; begin += kComparedBytes) {
    ours.resize(static_cast<size_t>(std::min(kComparedBytes, head.end - begin)));
    theirs.resize(ours.size());
    file.read_exact(begin, ours);
    table.file->read_exact(table.begin + begin - head.begin, theirs);
    if (ours == theirs) continue;
    throw std::invalid_argument(fmt::format("{}: {}, found other values", where, expected));
  }
}

void HfFolder::read(const std::string& tensor, int64_t begin, std::span<float> values) {
  const Place& place = places_.at(tensor);
  const int64_t offset = place.begin + begin * dtype_bytes(place.dtype);
  switch (place.dtype) {
    case Dtype::kBF16:
      read_converted<c10::BFloat16>(*place.file, offset, values);
      break;
    case Dtype::kF16:
      read_converted<c10::Half>(*place.file, offset, values);
      break;
    default:
      place.file->read_exact(offset, std::as_writable_bytes(values));
  }
  check_finite(values, fmt::format("{}: tensor {}", place.file->path().string(), place.stored_name),
               place.first_element + begin);
}

Dtype HfFolder::stored_dtype(const std::string& tensor) const { return places_.at(tensor).dtype; }

double load_hf_weights(const std::filesystem::path& folder, const Phi4Config& model,
                       const ParameterSet& parameters, std::vector<BucketShare>& shares) {
  const HfConfig config = read_hf_config(folder);
  check_same_model(model, config.shape, folder.string(), folder.string() + "/config.json");
  HfFolder source(folder, model);
  check_same_tensors(source, parameters);
  fill_shares(source, parameters, shares, kShareKinds[0]);
  return config.rope_theta;
}

}  // namespace phalanx
