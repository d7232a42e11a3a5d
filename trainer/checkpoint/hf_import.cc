#include "trainer/checkpoint/hf_import.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <span>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <vector>

#include "data/file.h"
#include "model/hf_layout.h"
#include "trainer/checkpoint/checkpoint_writer.h"
#include "trainer/checkpoint/file_groups.h"
#include "trainer/checkpoint/hf_folder.h"
#include "trainer/checkpoint/place_text.h"
#include "trainer/checkpoint/safetensors_writer.h"
#include "trainer/checkpoint/share_pieces.h"

namespace phalanx {
namespace {

constexpr size_t kChunkValues = size_t{1} << 20;
constexpr int64_t kMaxConfigBytes = int64_t{16} << 20;
constexpr const char* kConfig = "config.json";
// Names of files and tensors in the checkpoint.
constexpr std::string_view kSourcePrefix = "hf.";
constexpr std::string_view kMasterPrefix = "master/";
static_assert(std::string_view(kShareKinds[0].name) == "master");

std::string master_name(const std::string& tensor) { return std::string(kMasterPrefix) + tensor; }

int64_t master_bytes(const std::vector<int64_t>& shape, const std::string& name) {
  return checked_numel(shape, name) * dtype_bytes(Dtype::kF32);
}

using TensorGroup = std::vector<LogicalTensor>;  // of one file

std::vector<TensorGroup> master_groups(const Phi4Config& model, int64_t max_file_bytes) {
  std::vector<LogicalTensor> masters;
  for (HfTensor& fused : hf_tensors(model)) {
    std::move(fused.parts.begin(), fused.parts.end(), std::back_inserter(masters));
  }
  return file_groups(std::move(masters), max_file_bytes, [](const LogicalTensor& tensor) {
    return master_bytes(tensor.shape, tensor.name);
  });
}

/// Writes the masters and says in the manifest what lies where.
class MasterWriter {
 public:
  MasterWriter(HfFolder& source, Manifest& manifest, const ByteProgress& progress)
      : source_(source), manifest_(manifest), progress_(progress) {
    for (const auto& [name, shape] : source.shapes()) total_ += master_bytes(shape, name);
  }

  void write(const std::filesystem::path& staging, const std::string& file_name,
             const TensorGroup& group) {
    std::vector<StoredTensor> stored;
    for (const LogicalTensor& tensor : group) {
      const int64_t numel = checked_numel(tensor.shape, tensor.name);
      stored.push_back({master_name(tensor.name), Dtype::kF32, {numel}});
      manifest_.tensors[tensor.name] = {tensor.shape,
                                        {{file_name, 0, {0, tensor.shape.front()}, {0, numel}}},
                                        source_.stored_dtype(tensor.name)};
    }
    SafetensorsWriter file(staging / file_name, std::move(stored));
    for (const StoredTensor& tensor : file.tensors()) {
      write_values(file, tensor.name.substr(kMasterPrefix.size()), tensor.shape.front());
    }
    manifest_.files[file_name] = described(file.finish());
  }

 private:
  void write_values(SafetensorsWriter& file, const std::string& tensor, int64_t numel) {
    std::vector<float> values;
    for (int64_t begin = 0; begin < numel; begin += static_cast<int64_t>(values.size())) {
      values.resize(std::min(kChunkValues, static_cast<size_t>(numel - begin)));
      source_.read(tensor, begin, values);
      const auto bytes = std::as_bytes(std::span(values));
      file.write(bytes);
      done_ += static_cast<int64_t>(bytes.size());
      if (progress_) progress_(done_, total_);
    }
  }

  HfFolder& source_;
  Manifest& manifest_;
  const ByteProgress& progress_;
  int64_t done_ = 0, total_ = 0;
};

}  // namespace

void import_hf(const std::filesystem::path& folder, const std::filesystem::path& checkpoint,
               const HfImport& options) {
  if (!std::filesystem::exists(folder / kConfig)) {
    throw std::invalid_argument(fmt::format("{}: expected a Hugging Face folder, found {}",
                                            folder.string(), place_text(folder)));
  }
  HfFiles files = read_hf_files(folder);
  files[kConfig] = read_text(folder / kConfig, kMaxConfigBytes);
  const HfConfig config = parse_hf_config(files[kConfig], (folder / kConfig).string());
  check_json_files(files, folder.string());
  check_tokenizer_fits(files, config.shape.vocab_size, folder.string());
  HfFolder source(folder, config.shape);
  write_new_folder(checkpoint, [&](const std::filesystem::path& staging) {
    Manifest manifest;
    manifest.weights_only = true;
    manifest.model = config.shape;
    MasterWriter masters(source, manifest, options.progress);
    int number = 0;
    for (const TensorGroup& group : master_groups(config.shape, options.max_file_bytes)) {
      masters.write(staging, fmt::format("weights-{:05}.safetensors", ++number), group);
    }
    for (const auto& [name, contents] : files) {
      const std::string listed = std::string(kSourcePrefix) + name;
      manifest.files[listed] = write_listed(staging / listed, contents);
    }
    check_coverage(manifest, "import " + checkpoint.string());
    write_listed(staging / "manifest.json", manifest_text(manifest));
  });
}

HfConfig imported_config(CheckpointReader& checkpoint) {
  const std::string listed = std::string(kSourcePrefix) + kConfig;
  return parse_hf_config(checkpoint.read_listed(listed), (checkpoint.path() / listed).string());
}

HfFiles imported_files(CheckpointReader& checkpoint) {
  HfFiles files;
  for (const auto& [listed, file] : checkpoint.manifest().files) {
    if (!listed.starts_with(kSourcePrefix)) continue;
    const std::string name = listed.substr(kSourcePrefix.size());
    if (name != kConfig) files[name] = checkpoint.read_listed(listed);
  }
  return files;
}

std::map<std::string, Dtype> source_dtypes(const Manifest& manifest) {
  std::map<std::string, Dtype> dtypes;
  for (const auto& [name, tensor] : manifest.tensors) {
    if (tensor.source_dtype) dtypes[name] = *tensor.source_dtype;
  }
  return dtypes;
}

}  // namespace phalanx
