// A load reads what its rank needs: of each tensor the elements of its own share, once, and of the
// files the hash blocks that these lie in, once, and the headers of those files. All ranks together
// read all that is stored; what every tensor-parallel rank holds, each of them reads.
#include <dlfcn.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <set>

#include "data/block_hash.h"
#include "data/file.h"
#include "tests/trainer/checkpoint/toy_checkpoint.h"

namespace {

struct FileRead {
  std::string file;
  int64_t offset = 0;
  int64_t bytes = 0;
};
// Global because the C function below, which stands in for the library's, notes there.
struct ReadNotes {
  bool taken = false;
  std::vector<FileRead> reads;
};
ReadNotes notes;

}  // namespace

extern "C" ssize_t pread(int descriptor, void* bytes, size_t count, off_t offset) {
  using Pread = ssize_t (*)(int, void*, size_t, off_t);
  static const auto real = reinterpret_cast<Pread>(::dlsym(RTLD_NEXT, "pread"));
  const ssize_t done = real(descriptor, bytes, count, offset);
  if (notes.taken) {
    const auto path = std::filesystem::read_symlink(fmt::format("/proc/self/fd/{}", descriptor));
    notes.reads.push_back({path.filename(), offset, done});
  }
  return done;
}

namespace phalanx {
namespace {

struct TestedMesh {
  int tp_size, dp_size;
  int ranks() const { return tp_size * dp_size; }
};
constexpr TestedMesh kMeshes[] = {{1, 1}, {2, 1}, {1, 2}, {2, 2}};

using Counts = std::map<std::string, std::vector<int>>;  // of each element, by tensor

/// Notes how often each element is asked for.
class CountingSource final : public TensorSource {
 public:
  CountingSource(TensorSource& source, Counts& counts) : source_(source), counts_(counts) {}

  std::string description() const override { return source_.description(); }
  const std::map<std::string, std::vector<int64_t>>& shapes() const override {
    return source_.shapes();
  }
  void read(const std::string& tensor, int64_t begin, std::span<float> values) override {
    std::vector<int>& counts = counts_[tensor];
    counts.resize(static_cast<size_t>(checked_numel(shapes().at(tensor), tensor)));
    for (size_t i = 0; i < values.size(); ++i) ++counts.at(static_cast<size_t>(begin) + i);
    source_.read(tensor, begin, values);
  }

 private:
  TensorSource& source_;
  Counts& counts_;
};

int64_t sum(const std::vector<int>& counts) {
  int64_t total = 0;
  for (const int count : counts) total += count;
  return total;
}

TEST(RankReads, OfATensorAreTheElementsOfItsShare) {
  const TemporaryFolder folder;
  run_ranks(3, [&](Communicator& world) { save(world, 3, keep_all(folder.path()), 1); });
  CheckpointReader reader(checkpoint_path(folder.path(), 1));
  for (const TestedMesh& mesh : kMeshes) {
    SCOPED_TRACE(fmt::format("{} x {}", mesh.tp_size, mesh.dp_size));
    Counts together;
    for (int rank = 0; rank < mesh.ranks(); ++rank) {
      const auto model = make_rank(make_mesh(rank, mesh.ranks(), mesh.tp_size), toy_tensors());
      Counts own;
      const auto source = reader.source(kShareKinds[1]);
      CountingSource counting(*source, own);
      fill_shares(counting, model->parameters, model->shares, kShareKinds[1]);
      for (const SharePiece& piece : share_pieces(model->parameters, model->shares)) {
        const std::string& name = piece.parameter->name;
        EXPECT_EQ(sum(own[name]), piece.stored.size()) << name << " on rank " << rank;
      }
      for (const auto& [name, counts] : own) {
        together[name].resize(counts.size());
        for (size_t i = 0; i < counts.size(); ++i) together[name][i] += counts[i];
      }
    }
    for (const ToyTensor& tensor : toy_tensors()) {
      const int copies = tensor.role == ParamRole::kSharded ? 1 : mesh.tp_size;
      const auto numel = static_cast<size_t>(checked_numel(tensor.shape, tensor.name));
      EXPECT_EQ(together[tensor.name], std::vector<int>(numel, copies)) << tensor.name;
    }
  }
}

/// Files of several blocks; matrices are cut along either dimension.
std::vector<ToyTensor> big_tensors() {
  return {{"token_embedding.weight", {2999, 4096}, ParamRole::kSharded, 0},
          {"layers.0.attention.k.weight", {64, 4096}, ParamRole::kShared, 0},
          {"layers.0.attention.o.weight", {301, 4096}, ParamRole::kSharded, 1},
          {"norm.weight", {4096}, ParamRole::kReplicated, 0}};
}

std::unique_ptr<RankModel> big_rank(int rank, const TestedMesh& mesh) {
  return make_rank(make_mesh(rank, mesh.ranks(), mesh.tp_size), big_tensors());
}

Path save_big(const Path& folder, const TestedMesh& mesh) {
  run_ranks(mesh.ranks(), [&](Communicator& world) {
    const auto model = big_rank(world.rank(), mesh);
    save_checkpoint(keep_all(folder), contents_of(*model, Phi4Config{}, 1),
                    make_mesh(world.rank(), mesh.ranks(), mesh.tp_size), world);
  });
  return checkpoint_path(folder, 1);
}

constexpr int64_t kF32Bytes = 4;

using Block = std::pair<std::string, int64_t>;  // file, number
using Blocks = std::set<Block>;

Blocks without(Blocks blocks, const Blocks& others) {
  for (const Block& block : others) blocks.erase(block);
  return blocks;
}

/// The blocks that hold what a rank needs, as the manifest and the files' headers have it.
class NeededBlocks {
 public:
  explicit NeededBlocks(const Path& checkpoint)
      : manifest_(CheckpointReader(checkpoint).manifest()) {
    for (const auto& [name, facts] : manifest_.files) {
      if (!name.ends_with(".safetensors")) continue;
      const File file = File::open_read(checkpoint / name);
      headers_[name] = read_safetensors_header(
          name, facts.bytes,
          [&](int64_t at, std::span<std::byte> bytes) { file.read_exact(at, bytes); });
    }
  }

  Blocks all() const {
    Blocks blocks;
    for (const auto& [file, header] : headers_)
      add(file, 0, manifest_.files.at(file).bytes, blocks);
    return blocks;
  }
  Blocks of(const RankModel& model) const {
    Blocks blocks;
    for (const SharePiece& own : share_pieces(model.parameters, model.shares)) {
      const ShardSpec& spec = own.parameter->spec;
      visit_runs(slice_layout(spec.full_shape, spec.dim, spec.stored()), own.stored,
                 [&](const Run& run) {
                   add(own.parameter->name, {run.full, run.full + run.numel}, blocks);
                 });
    }
    return blocks;
  }

 private:
  /// Elements of a full tensor, of each kind.
  void add(const std::string& name, Range elements, Blocks& blocks) const {
    const ManifestTensor& tensor = manifest_.tensors.at(name);
    for (const ManifestPiece& piece : tensor.pieces) {
      visit_overlap(slice_layout(tensor.shape, piece.dim, piece.rectangle), piece.elements,
                    elements, [&](const Run& run) {
                      for (const ShareKind& kind : kShareKinds) {
                        const StoredTensor* stored =
                            headers_.at(piece.file).find(fmt::format("{}/{}", kind.name, name));
                        const int64_t begin =
                            stored->begin + kF32Bytes * (run.slice - piece.elements.begin);
                        add(piece.file, begin, begin + kF32Bytes * run.numel, blocks);
                      }
                    });
    }
  }
  static void add(const std::string& file, int64_t begin, int64_t end, Blocks& blocks) {
    for (int64_t block = begin / kHashBlockBytes; block * kHashBlockBytes < end; ++block) {
      blocks.insert({file, block});
    }
  }

  Manifest manifest_;
  std::map<std::string, SafetensorsHeader> headers_;
};

/// What a rank's load reads of the files of tensors.
Blocks blocks_of_load(const Path& checkpoint, RankModel& model) {
  CheckpointReader reader(checkpoint);
  notes = {true, {}};
  load_checkpoint(reader, Phi4Config{}, model.parameters, model.shares);
  notes.taken = false;
  Blocks blocks;
  for (const FileRead& read : notes.reads) {
    EXPECT_EQ(read.offset % kHashBlockBytes, 0) << read.file;
    EXPECT_LE(read.bytes, kHashBlockBytes) << read.file;
    const auto [block, is_new] = blocks.insert({read.file, read.offset / kHashBlockBytes});
    EXPECT_TRUE(is_new) << "read twice: block " << block->second << " of " << read.file;
  }
  return blocks;
}

TEST(RankReads, OfTheFilesAreTheBlocksOfItsShare) {
  for (const TestedMesh& saved : {TestedMesh{1, 1}, TestedMesh{2, 2}}) {
    const TemporaryFolder folder;
    const Path checkpoint = save_big(folder.path(), saved);
    const NeededBlocks needed(checkpoint);
    for (const TestedMesh& mesh : kMeshes) {
      Blocks together;
      for (int rank = 0; rank < mesh.ranks(); ++rank) {
        SCOPED_TRACE(fmt::format("saved {} x {}, rank {} of {} x {}", saved.tp_size, saved.dp_size,
                                 rank, mesh.tp_size, mesh.dp_size));
        const auto model = big_rank(rank, mesh);
        const Blocks read = blocks_of_load(checkpoint, *model), own = needed.of(*model);
        Blocks allowed = own;
        for (const Block& block : own) allowed.insert({block.first, 0});  // headers
        EXPECT_EQ(without(read, allowed), Blocks{}) << "nothing of these is needed";
        EXPECT_EQ(without(own, read), Blocks{}) << "these were not noted";
        if (mesh.ranks() > 1) {
          EXPECT_LT(allowed.size(), needed.all().size());
        }
        together.insert(read.begin(), read.end());
      }
      EXPECT_EQ(together, needed.all());
    }
  }
}

}  // namespace
}  // namespace phalanx
