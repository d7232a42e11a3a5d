#include "trainer/checkpoint/hf_export.h"

#include <c10/util/BFloat16.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "data/file.h"
#include "model/hf_layout.h"
#include "trainer/checkpoint/safetensors_writer.h"

namespace phalanx {
namespace {

constexpr int64_t kChunkValues = int64_t{1} << 20;

using TensorGroup = std::vector<HfTensor>;  // of one file

int64_t bytes_of(const HfTensor& tensor, Dtype dtype) {
  return checked_numel(tensor.shape, tensor.name) * dtype_bytes(dtype);
}

std::vector<TensorGroup> grouped(const HfExport& options) {
  std::vector<TensorGroup> groups(1);
  int64_t bytes = 0;
  for (HfTensor& tensor : hf_tensors(options.config.shape)) {
    const int64_t more = bytes_of(tensor, options.dtype);
    if (!groups.back().empty() && bytes + more > options.max_file_bytes) {
      groups.emplace_back();
      bytes = 0;
    }
    bytes += more;
    groups.back().push_back(std::move(tensor));
  }
  return groups;
}

void write_part(SafetensorsWriter& file, TensorSource& source, const LogicalTensor& part,
                Dtype dtype) {
  const int64_t numel = checked_numel(part.shape, part.name);
  std::vector<float> values;
  std::vector<c10::BFloat16> rounded;
  for (int64_t begin = 0; begin < numel; begin += kChunkValues) {
    values.resize(static_cast<size_t>(std::min(kChunkValues, numel - begin)));
    source.read(part.name, begin, values);
    if (dtype == Dtype::kF32) {
      file.write(std::as_bytes(std::span(values)));
    } else {
      rounded.assign(values.begin(), values.end());
      file.write(std::as_bytes(std::span(rounded)));
    }
  }
}

void write_group(const std::filesystem::path& path, TensorSource& source, const TensorGroup& group,
                 Dtype dtype) {
  std::vector<StoredTensor> stored;
  std::map<std::string, const HfTensor*> by_name;
  for (const HfTensor& tensor : group) {
    stored.push_back({tensor.name, dtype, tensor.shape});
    by_name[tensor.name] = &tensor;
  }
  SafetensorsWriter file(path, std::move(stored), {{"format", "pt"}});
  for (const StoredTensor& tensor : file.tensors()) {
    for (const LogicalTensor& part : by_name.at(tensor.name)->parts) {
      write_part(file, source, part, dtype);
    }
  }
  file.finish();
}

}  // namespace

void export_hf(TensorSource& source, const std::filesystem::path& folder, const HfExport& options) {
  if (std::filesystem::exists(folder)) {
    throw std::invalid_argument(
        fmt::format("{}: expected no such folder, found one", folder.string()));
  }
  const std::vector<TensorGroup> groups = grouped(options);
  const std::filesystem::path staging = make_staging_folder(folder);
  nlohmann::ordered_json index;
  index["metadata"]["total_size"] = 0;
  int64_t total_bytes = 0;
  for (size_t i = 0; i < groups.size(); ++i) {
    const std::string name =
        groups.size() == 1 ? "model.safetensors"
                           : fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, groups.size());
    write_group(staging / name, source, groups[i], options.dtype);
    for (const HfTensor& tensor : groups[i]) {
      index["weight_map"][tensor.name] = name;
      total_bytes += bytes_of(tensor, options.dtype);
    }
  }
  index["metadata"]["total_size"] = total_bytes;
  if (groups.size() > 1) {
    commit_file(staging / "model.safetensors.index.json", index.dump(2) + "\n");
  }
  const char* dtype = options.dtype == Dtype::kF32 ? "float32" : "bfloat16";
  commit_file(staging / "config.json", hf_config_text(options.config, dtype));
  commit_staging_folder(folder);
}

}  // namespace phalanx
