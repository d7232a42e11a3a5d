#include "trainer/checkpoint/hf_export.h"

#include <c10/util/BFloat16.h>
#include <c10/util/Half.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <span>
#include <stdexcept>
#include <utility>
#include <vector>

#include "data/file.h"
#include "model/hf_layout.h"
#include "trainer/checkpoint/file_groups.h"
#include "trainer/checkpoint/safetensors_writer.h"

namespace phalanx {
namespace {

constexpr size_t kChunkValues = size_t{1} << 20;

using TensorGroup = std::vector<HfTensor>;  // of one file

const char* torch_name(Dtype dtype) {
  return dtype == Dtype::kF32 ? "float32" : dtype == Dtype::kF16 ? "float16" : "bfloat16";
}

/// Its parts were one tensor wherever they have a dtype of their own.
Dtype dtype_of(const HfTensor& tensor, const HfExport& options) {
  const auto own = options.dtypes.find(tensor.parts.front().name);
  return own == options.dtypes.end() ? options.dtype : own->second;
}

int64_t bytes_of(const HfTensor& tensor, const HfExport& options) {
  return checked_numel(tensor.shape, tensor.name) * dtype_bytes(dtype_of(tensor, options));
}

class FolderWriter {
 public:
  FolderWriter(TensorSource& source, const HfExport& options)
      : source_(source),
        options_(options),
        groups_(file_groups(hf_tensors(options.config.shape), options.max_file_bytes,
                            [&](const HfTensor& tensor) { return bytes_of(tensor, options); })) {
    exported_.files = static_cast<int64_t>(groups_.size());
    for (const TensorGroup& group : groups_) {
      exported_.tensors += static_cast<int64_t>(group.size());
      for (const HfTensor& tensor : group) exported_.bytes += bytes_of(tensor, options);
    }
  }

  HfExported write(const std::filesystem::path& staging) {
    nlohmann::ordered_json index;
    index["metadata"]["total_size"] = exported_.bytes;
    for (size_t i = 0; i < groups_.size(); ++i) {
      const std::string name = groups_.size() == 1 ? "model.safetensors"
                                                   : fmt::format("model-{:05}-of-{:05}.safetensors",
                                                                 i + 1, groups_.size());
      write_group(staging / name, groups_[i]);
      for (const HfTensor& tensor : groups_[i]) index["weight_map"][tensor.name] = name;
    }
    if (groups_.size() > 1) {
      commit_file(staging / "model.safetensors.index.json", index.dump(2) + "\n");
    }
    const std::string& said = options_.config.dtype;
    const std::string dtype =
        said.empty() ? torch_name(dtype_of(groups_.front().front(), options_)) : said;
    commit_file(staging / "config.json", hf_config_text(options_.config, dtype));
    for (const auto& [name, contents] : options_.files) commit_file(staging / name, contents);
    return exported_;
  }

 private:
  void write_group(const std::filesystem::path& path, const TensorGroup& group) {
    std::vector<StoredTensor> stored;
    std::map<std::string, const HfTensor*> by_name;
    for (const HfTensor& tensor : group) {
      stored.push_back({tensor.name, dtype_of(tensor, options_), tensor.shape});
      by_name[tensor.name] = &tensor;
    }
    SafetensorsWriter file(path, std::move(stored), {{"format", "pt"}});
    for (const StoredTensor& tensor : file.tensors()) {
      for (const LogicalTensor& part : by_name.at(tensor.name)->parts) {
        write_part(file, part, tensor.dtype);
      }
    }
    file.finish();
  }

  void write_part(SafetensorsWriter& file, const LogicalTensor& part, Dtype dtype) {
    const int64_t numel = checked_numel(part.shape, part.name);
    std::vector<float> values;
    for (int64_t begin = 0; begin < numel; begin += static_cast<int64_t>(values.size())) {
      values.resize(std::min(kChunkValues, static_cast<size_t>(numel - begin)));
      source_.read(part.name, begin, values);
      const std::string where = fmt::format("{}: tensor {}", source_.description(), part.name);
      if (dtype == Dtype::kF32) {
        put<float>(file, values, dtype, where, begin);
      } else if (dtype == Dtype::kF16) {
        put<c10::Half>(file, values, dtype, where, begin);
      } else {
        put<c10::BFloat16>(file, values, dtype, where, begin);
      }
    }
  }

  /// A value past the dtype's range would become infinite.
  template <typename Value>
  void put(SafetensorsWriter& file, const std::vector<float>& values, Dtype dtype,
           const std::string& where, int64_t first_element) {
    const std::vector<Value> rounded(values.begin(), values.end());
    for (size_t i = 0; i < rounded.size(); ++i) {
      if (std::isfinite(static_cast<float>(rounded[i]))) continue;
      throw std::invalid_argument(
          fmt::format("{}: element {}: expected a number that {} can hold, found {}", where,
                      first_element + static_cast<int64_t>(i), dtype_name(dtype), values[i]));
    }
    const auto bytes = std::as_bytes(std::span(rounded));
    file.write(bytes);
    done_ += static_cast<int64_t>(bytes.size());
    if (options_.progress) options_.progress(done_, exported_.bytes);
  }

  TensorSource& source_;
  const HfExport& options_;
  std::vector<TensorGroup> groups_;
  HfExported exported_;
  int64_t done_ = 0;
};

}  // namespace

HfExported export_hf(TensorSource& source, const std::filesystem::path& folder,
                     const HfExport& options) {
  HfExported exported;
  write_new_folder(folder, [&](const std::filesystem::path& staging) {
    exported = FolderWriter(source, options).write(staging);
  });
  return exported;
}

}  // namespace phalanx
