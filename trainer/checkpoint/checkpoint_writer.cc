#include "trainer/checkpoint/checkpoint_writer.h"

#include <fmt/format.h>

#include <chrono>
#include <map>
#include <span>
#include <utility>

#include "data/folder_contents.h"
#include "trainer/checkpoint/checkpoint_folder.h"
#include "trainer/checkpoint/checkpoint_reader.h"
#include "trainer/checkpoint/safetensors_writer.h"
#include "trainer/checkpoint/share_pieces.h"

namespace phalanx {
namespace {

// Of a rank's file. Four keep a fast disk busy while blocks are copied and hashed (tests/bench).
constexpr int kStreams = 4;

// Every tensor-parallel rank stores a replicated or shared tensor alike; the first one writes it.
std::vector<SharePiece> written_pieces(const CheckpointContents& contents, const Mesh& mesh) {
  std::vector<SharePiece> pieces = share_pieces(contents.parameters, contents.shares);
  std::erase_if(pieces, [&](const SharePiece& piece) {
    return piece.parameter->spec.role != ParamRole::kSharded && mesh.tp_rank != 0;
  });
  return pieces;
}

const at::Tensor& share_of(const CheckpointContents& contents, const SharePiece& piece,
                           const ShareKind& kind) {
  return contents.shares[static_cast<size_t>(piece.bucket)].*kind.tensor;
}

Dtype stored_dtype(const at::Tensor& share) {
  return share.scalar_type() == at::kBFloat16 ? Dtype::kBF16 : Dtype::kF32;
}

std::span<const std::byte> bytes_of(const at::Tensor& share, const SharePiece& piece) {
  const auto element = static_cast<int64_t>(share.element_size());
  return {static_cast<const std::byte*>(share.const_data_ptr()) + piece.offset * element,
          static_cast<size_t>(piece.stored.size() * element)};
}

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

ManifestFile write_checked(const std::filesystem::path& path, const BytePieces& pieces) {
  WrittenBlocks written = write_in_bulk(path, pieces, kStreams);
  read_back(path, written, kStreams);
  return {written.bytes, std::move(written.block_hashes)};
}

int64_t seconds_since_1970() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::seconds>(now).count();
}

// A folder that could not be removed after a failure may hold files of that attempt.
void remove_unlisted(const std::filesystem::path& staging, const Manifest& manifest) {
  for (const std::filesystem::path& path : paths_in(staging)) {
    if (!manifest.files.contains(path.filename().string())) remove_path(path);
  }
}

/// After which the folder's other checkpoints belong to another branch than the one of `step`: that
/// of the checkpoint which the run was resumed from, if it lies here.
int64_t branch_step(const CheckpointPlace& place, int64_t step) {
  for (const CheckpointEntry& entry : list_checkpoints(place.folder)) {
    std::error_code differs;
    if (entry.step > step || place.retention.resumed_from.empty()) continue;
    if (std::filesystem::equivalent(entry.path, place.retention.resumed_from, differs)) {
      return entry.step;
    }
  }
  return step;
}

}  // namespace

ManifestFile described(WrittenFile written) {
  return {written.bytes, std::move(written.block_hashes)};
}

ManifestFile write_listed(const std::filesystem::path& path, std::string_view text) {
  return write_checked(path, {bytes_of(text)});
}

Manifest write_rank_part(const std::filesystem::path& staging, const CheckpointContents& contents,
                         const Mesh& mesh) {
  make_folders(staging);
  Manifest part{contents.step,
                contents.tokens,
                mesh.tp_size,
                mesh.dp_size,
                false,
                {},
                contents.model,
                {},
                {}};
  const std::string file_name = fmt::format("rank-{:05}.safetensors", mesh.rank());
  std::vector<StoredTensor> tensors;
  std::map<std::string, std::span<const std::byte>> bytes;
  for (const SharePiece& piece : written_pieces(contents, mesh)) {
    const ShardSpec& spec = piece.parameter->spec;
    part.tensors[piece.parameter->name] = {spec.full_shape,
                                           {{file_name, spec.dim, spec.stored(), piece.stored}}};
    for (const ShareKind& kind : kShareKinds) {
      const std::string name = fmt::format("{}/{}", kind.name, piece.parameter->name);
      const at::Tensor& share = share_of(contents, piece, kind);
      TORCH_INTERNAL_ASSERT(share.is_cpu() && share.is_contiguous());
      tensors.push_back({name, stored_dtype(share), {piece.stored.size()}});
      bytes[name] = bytes_of(share, piece);
    }
  }
  const SafetensorsLayout layout = lay_out(std::move(tensors));
  BytePieces pieces{bytes_of(std::string_view(layout.head))};
  for (const StoredTensor& tensor : layout.tensors) pieces.push_back(bytes.at(tensor.name));
  part.files[file_name] = write_checked(staging / file_name, pieces);
  return part;
}

void seal_checkpoint(const std::filesystem::path& path, Manifest manifest,
                     const CheckpointContents& contents) {
  const std::filesystem::path staging = staging_folder(path);
  check_coverage(manifest, fmt::format("save {}", path.string()));
  remove_unlisted(staging, manifest);
  manifest.saved_at = seconds_since_1970();
  manifest.files["state.json"] = write_listed(staging / "state.json", contents.state_json);
  manifest.files["config.yaml"] = write_listed(staging / "config.yaml", contents.config_yaml);
  write_listed(staging / "manifest.json", manifest_text(manifest));
  (void)CheckpointReader(staging);
}

void commit_checkpoint(const std::filesystem::path& path) {
  if (std::filesystem::exists(path)) {
    swap_with_staging(path);
  } else {
    commit_staging_folder(path);
  }
}

void settle_checkpoint(const CheckpointPlace& place, int64_t step) {
  const std::filesystem::path path = checkpoint_path(place.folder, step);
  remove_path(staging_folder(path));
  const bool begins = place.order == SaveOrder::kFirst;
  set_aside_others(place.folder, step, begins ? branch_step(place, step) : step);
  commit_file(place.folder / "LATEST", path.filename().string() + "\n");
  prune_checkpoints(place.folder, step, place.retention);
}

}  // namespace phalanx
