#include "trainer/checkpoint/checkpoint_reader.h"

#include <c10/util/BFloat16.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <stdexcept>
#include <utility>

#include "data/file.h"
#include "trainer/checkpoint/manifest_model.h"
#include "trainer/checkpoint/slice_layout.h"

namespace phalanx {
namespace {

constexpr int64_t kMaxManifestBytes = int64_t{256} << 20;

bool is_share_dtype(Dtype dtype) { return dtype == Dtype::kF32 || dtype == Dtype::kBF16; }

class CheckpointSource final : public TensorSource {
 public:
  CheckpointSource(VerifiedFiles& files, const Manifest& manifest, std::string where,
                   std::string kind)
      : files_(files), manifest_(manifest), where_(std::move(where)), kind_(std::move(kind)) {
    for (const auto& [name, tensor] : manifest.tensors) shapes_[name] = tensor.shape;
  }

  std::string description() const override { return where_; }
  const std::map<std::string, std::vector<int64_t>>& shapes() const override { return shapes_; }

  void read(const std::string& tensor, int64_t begin, std::span<float> values) override {
    if (tensor != resolved_name_) resolve(tensor);
    const Range wanted{begin, begin + static_cast<int64_t>(values.size())};
    for (Resolved& piece : resolved_) {
      visit_overlap(piece.layout, piece.elements, wanted, [&](const Run& run) {
        if (piece.stored == nullptr) piece.stored = &find(tensor, piece);
        const std::span<float> target =
            values.subspan(static_cast<size_t>(run.full - begin), static_cast<size_t>(run.numel));
        const int64_t element = run.slice - piece.elements.begin;
        read_values(piece, element, target);
      });
    }
  }

 private:
  struct Resolved {
    std::string file;
    Range elements;
    SliceLayout layout;
    const StoredTensor* stored = nullptr;  // not before something of the piece is needed
  };

  void read_values(const Resolved& piece, int64_t element, std::span<float> values) {
    const Dtype dtype = piece.stored->dtype;
    const int64_t byte = piece.stored->begin + element * dtype_bytes(dtype);
    if (dtype == Dtype::kF32) {
      return files_.read(piece.file, byte, std::as_writable_bytes(values));
    }
    narrow_.resize(values.size());
    files_.read(piece.file, byte, std::as_writable_bytes(std::span(narrow_)));
    std::copy(narrow_.begin(), narrow_.end(), values.begin());
  }

  void resolve(const std::string& tensor) {
    resolved_.clear();
    const ManifestTensor& entry = manifest_.tensors.at(tensor);
    for (const ManifestPiece& piece : entry.pieces) {
      resolved_.push_back(
          {piece.file, piece.elements, slice_layout(entry.shape, piece.dim, piece.rectangle)});
    }
    resolved_name_ = tensor;
  }

  /// Reads the header of the piece's file, which costs a block.
  const StoredTensor& find(const std::string& tensor, const Resolved& piece) {
    const std::string stored_name = fmt::format("{}/{}", kind_, tensor);
    const StoredTensor* stored = files_.header(piece.file).find(stored_name);
    const std::vector<int64_t> expected{piece.elements.size()};
    if (stored != nullptr && is_share_dtype(stored->dtype) && stored->shape == expected) {
      return *stored;
    }
    throw std::invalid_argument(fmt::format(
        "{}: file {}: tensor {}: expected F32 or BF16 [{}], found {}", where_, piece.file,
        stored_name, expected[0],
        stored == nullptr
            ? "no such tensor"
            : fmt::format("{} [{}]", dtype_name(stored->dtype), fmt::join(stored->shape, ", "))));
  }

  VerifiedFiles& files_;
  const Manifest& manifest_;
  std::string where_, kind_;
  std::map<std::string, std::vector<int64_t>> shapes_;
  std::string resolved_name_;  // runs of one tensor come one after another
  std::vector<Resolved> resolved_;
  std::vector<c10::BFloat16> narrow_;  // values on their way
};

Manifest read_manifest(const std::filesystem::path& path, const std::string& where) {
  const std::filesystem::path file = path / "manifest.json";
  if (!std::filesystem::exists(file)) {
    throw std::invalid_argument(where + ": manifest.json is missing");
  }
  const std::string place = where + ": manifest.json";
  Manifest manifest = parse_checkpoint_manifest(read_text(file, kMaxManifestBytes), place);
  check_coverage(manifest, place);
  return manifest;
}

}  // namespace

CheckpointReader::CheckpointReader(const std::filesystem::path& path)
    : path_(path),
      where_("checkpoint " + path.string()),
      manifest_(read_manifest(path, where_)),
      files_(path, manifest_.files, where_) {
  files_.check_sizes();
}

std::unique_ptr<TensorSource> CheckpointReader::source(const ShareKind& kind) {
  return std::make_unique<CheckpointSource>(files_, manifest_, where_, kind.name);
}

std::string CheckpointReader::read_of_run(const std::string& file) {
  if (manifest_.weights_only) {
    throw std::invalid_argument(fmt::format(
        "{}: expected a checkpoint of a run, found imported weights, without optimizer state and "
        "{}: start a new run from them with model.init_from",
        where_, file));
  }
  return files_.read_whole(file);
}

Dtype CheckpointReader::stored_dtype(const ShareKind& kind) {
  for (const auto& [name, tensor] : manifest_.tensors) {
    const std::string stored_name = fmt::format("{}/{}", kind.name, name);
    for (const ManifestPiece& piece : tensor.pieces) {
      const StoredTensor* stored = files_.header(piece.file).find(stored_name);
      if (stored != nullptr) return stored->dtype;
    }
  }
  return Dtype::kF32;
}

void CheckpointReader::verify(int64_t part, int64_t num_parts) {
  files_.check_blocks(part, num_parts);
}

void load_checkpoint(CheckpointReader& reader, const Phi4Config& model,
                     const ParameterSet& parameters, std::vector<BucketShare>& shares,
                     bool moments) {
  const std::string where = "checkpoint " + reader.path().string();
  check_same_model(model, reader.manifest().model, reader.path().string(), where);
  check_same_tensors(*reader.source(kShareKinds[0]), parameters);
  if (moments && reader.manifest().weights_only) {
    throw std::invalid_argument(where +
                                ": expected optimizer state, found imported weights without it");
  }
  for (const ShareKind& kind : kShareKinds) {
    if (!moments && kind.tensor != &BucketShare::master) continue;
    fill_shares(*reader.source(kind), parameters, shares, kind);
  }
}

}  // namespace phalanx
