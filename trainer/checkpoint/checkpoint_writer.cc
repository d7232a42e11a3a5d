#include "trainer/checkpoint/checkpoint_writer.h"

#include <fmt/format.h>

#include <cerrno>
#include <map>
#include <span>
#include <system_error>
#include <utility>

#include "parallel/agreement.h"
#include "trainer/checkpoint/checkpoint_folder.h"
#include "trainer/checkpoint/safetensors_writer.h"
#include "trainer/checkpoint/share_pieces.h"

namespace phalanx {
namespace {

// Every tensor-parallel rank stores a replicated or shared tensor alike; the first one writes it.
std::vector<SharePiece> written_pieces(const CheckpointContents& contents, const Mesh& mesh) {
  std::vector<SharePiece> pieces = share_pieces(contents.parameters, contents.shares);
  std::erase_if(pieces, [&](const SharePiece& piece) {
    return piece.parameter->spec.role != ParamRole::kSharded && mesh.tp_rank != 0;
  });
  return pieces;
}

struct Output {  // one tensor of the rank's file
  const SharePiece* piece;
  const ShareKind* kind;
};

const at::Tensor& share_of(const CheckpointContents& contents, const SharePiece& piece,
                           const ShareKind& kind) {
  return contents.shares[static_cast<size_t>(piece.bucket)].*kind.tensor;
}

Dtype stored_dtype(const at::Tensor& share) {
  return share.scalar_type() == at::kBFloat16 ? Dtype::kBF16 : Dtype::kF32;
}

void write_values(SafetensorsWriter& file, const CheckpointContents& contents,
                  const Output& output) {
  const at::Tensor host = share_of(contents, *output.piece, *output.kind)
                              .narrow(0, output.piece->offset, output.piece->stored.size())
                              .to(at::kCPU)
                              .contiguous();
  file.write(std::as_bytes(std::span(static_cast<const std::byte*>(host.const_data_ptr()),
                                     static_cast<size_t>(host.nbytes()))));
}

std::filesystem::path write_and_commit(const CheckpointPlace& place,
                                       const CheckpointContents& contents, const Mesh& mesh,
                                       Communicator& control) {
  const bool first = control.rank() == 0;
  const std::filesystem::path path = checkpoint_path(place.folder, contents.step);
  run_together(control, [&] {
    if (first) make_staging_folder(path);
  });
  const std::string mine = together(control, [&] {
    return manifest_text(write_rank_part(staging_folder(path), contents, mesh));
  });
  const std::vector<std::string> parts = all_gather_strings(control, mine);
  run_together(control, [&] {
    if (!first) return;
    Manifest manifest = parse_checkpoint_manifest(parts.front(), "part of rank 0");
    for (size_t rank = 1; rank < parts.size(); ++rank) {
      merge_part(manifest,
                 parse_checkpoint_manifest(parts[rank], fmt::format("part of rank {}", rank)));
    }
    commit_checkpoint(path, std::move(manifest), contents);
  });
  return path;
}

// `error` is what is wrong with the new checkpoint. An older one of the same step waits in the
// staging folder for that.
void finish_save(const CheckpointPlace& place, int64_t step, const std::string& error) {
  const std::filesystem::path path = checkpoint_path(place.folder, step);
  const std::filesystem::path replaced = staging_folder(path);
  if (!error.empty()) {
    if (std::filesystem::exists(replaced)) swap_with_staging(path);
    throw std::system_error(EIO, std::generic_category(), "read back: " + error);
  }
  std::filesystem::remove_all(replaced);
  set_aside_newer(place.folder, step);
  commit_file(place.folder / "LATEST", path.filename().string() + "\n");
  prune_checkpoints(place.folder, step, place.retention);
}

}  // namespace

ManifestFile described(WrittenFile written) {
  return {written.bytes, std::move(written.block_hashes)};
}

ManifestFile write_listed(const std::filesystem::path& path, std::string_view text) {
  DurableWriter file(path);
  file.write(std::as_bytes(std::span(text)));
  return described(file.finish());
}

Manifest write_rank_part(const std::filesystem::path& staging, const CheckpointContents& contents,
                         const Mesh& mesh) {
  Manifest part{contents.step, contents.tokens, mesh.tp_size, mesh.dp_size,
                false,         contents.model,  {},           {}};
  const std::string file_name = fmt::format("rank-{:05}.safetensors", mesh.rank());
  const std::vector<SharePiece> pieces = written_pieces(contents, mesh);
  std::vector<StoredTensor> tensors;
  std::map<std::string, Output> outputs;
  for (const SharePiece& piece : pieces) {
    const ShardSpec& spec = piece.parameter->spec;
    part.tensors[piece.parameter->name] = {spec.full_shape,
                                           {{file_name, spec.dim, spec.stored(), piece.stored}}};
    for (const ShareKind& kind : kShareKinds) {
      const std::string name = fmt::format("{}/{}", kind.name, piece.parameter->name);
      const Dtype dtype = stored_dtype(share_of(contents, piece, kind));
      tensors.push_back({name, dtype, {piece.stored.size()}});
      outputs[name] = {&piece, &kind};
    }
  }
  SafetensorsWriter file(staging / file_name, std::move(tensors));
  for (const StoredTensor& tensor : file.tensors()) {
    write_values(file, contents, outputs.at(tensor.name));
  }
  part.files[file_name] = described(file.finish());
  return part;
}

void commit_checkpoint(const std::filesystem::path& path, Manifest manifest,
                       const CheckpointContents& contents) {
  const std::filesystem::path staging = staging_folder(path);
  check_coverage(manifest, fmt::format("save {}", path.string()));
  manifest.files["state.json"] = write_listed(staging / "state.json", contents.state_json);
  manifest.files["config.yaml"] = write_listed(staging / "config.yaml", contents.config_yaml);
  write_listed(staging / "manifest.json", manifest_text(manifest));
  if (std::filesystem::exists(path)) {
    swap_with_staging(path);
  } else {
    commit_staging_folder(path);
  }
}

std::filesystem::path save_checkpoint(const CheckpointPlace& place,
                                      const CheckpointContents& contents, const Mesh& mesh,
                                      Communicator& control) {
  std::filesystem::path path;
  try {
    path = write_and_commit(place, contents, mesh, control);
  } catch (const AgreedError&) {
    // All ranks have stopped writing. The error at hand matters more than one of the removal.
    std::error_code ignored;
    const auto staging = staging_folder(checkpoint_path(place.folder, contents.step));
    if (control.rank() == 0) std::filesystem::remove_all(staging, ignored);
    throw;
  }
  const std::string error = verify_checkpoint(path, control);
  run_together(control, [&] {
    if (control.rank() == 0) finish_save(place, contents.step, error);
  });
  return path;
}

}  // namespace phalanx
