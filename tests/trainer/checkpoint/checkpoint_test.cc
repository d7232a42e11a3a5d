// Saving on one mesh and loading on another, what damage is reported as, and what a failed or
// repeated save leaves behind.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <functional>
#include <utility>

#include "tests/support/ranks.h"
#include "tests/trainer/checkpoint/support.h"
#include "trainer/checkpoint/checkpoint_folder.h"
#include "trainer/checkpoint/checkpoint_reader.h"
#include "trainer/checkpoint/checkpoint_writer.h"

namespace {

// Global because the C functions below, which stand in for the library's, read it.
struct Renames {
  bool exchange = true;        // can the file system exchange names?
  int before_power_cut = -1;   // the process ends at the call after so many; -1: never
  std::function<void()> then;  // runs after an exchange, once
};
Renames renames;

int rename_with(const char* from, const char* to, unsigned flags) {
  if (renames.before_power_cut == 0) ::_exit(9);
  if (renames.before_power_cut > 0) --renames.before_power_cut;
  return static_cast<int>(::syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags));
}

}  // namespace

extern "C" int rename(const char* from, const char* to) noexcept {
  return rename_with(from, to, 0);
}

extern "C" int renameat2(int, const char* from, int, const char* to, unsigned flags) noexcept {
  if (!renames.exchange) {
    errno = EINVAL;
    return -1;
  }
  const int result = rename_with(from, to, flags);
  if (const auto then = std::exchange(renames.then, nullptr)) then();
  return result;
}

namespace phalanx {
namespace {

using Path = std::filesystem::path;

CheckpointContents contents_of(const RankModel& model, const Phi4Config& shape, int64_t step) {
  return {model.parameters, model.shares, shape, step, step * 1000, "{\"step\": 1}", "name: toy\n"};
}

CheckpointPlace keep_all(const Path& folder) { return {folder, {0, {}, {}}}; }

void save(Communicator& world, int tp_size, const CheckpointPlace& place, int64_t step) {
  const Mesh mesh = make_mesh(world.rank(), world.size(), tp_size);
  const auto model = make_rank(mesh, toy_tensors());
  fill_toy(*model);
  save_checkpoint(place, contents_of(*model, Phi4Config{}, step), mesh, world);
}

Path save_alone(const Path& folder, int64_t step, int64_t keep_last = 0,
                const Path& resumed_from = {}) {
  run_ranks(1, [&](Communicator& world) {
    save(world, 1, {folder, {keep_last, {}, resumed_from}}, step);
  });
  return checkpoint_path(folder, step);
}

FoundCheckpoint find(const Path& folder) {
  FoundCheckpoint found;
  run_ranks(1, [&](Communicator& world) { found = find_checkpoint(folder, world); });
  return found;
}

void flip_bit(const Path& file, int64_t offset) {
  std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
  stream.seekg(offset);
  const char byte = static_cast<char>(stream.get() ^ 4);
  stream.seekp(offset);
  stream.put(byte);
}

std::string load_error(const Path& path, const std::vector<ToyTensor>& tensors = toy_tensors(),
                       const Phi4Config& shape = {}) {
  return message_of([&] {
    const auto model = make_rank(Mesh{}, tensors);
    CheckpointReader reader(path);
    load_checkpoint(reader, shape, model->parameters, model->shares);
  });
}

int64_t wrong_after_load(const Path& path, int world_size, int tp_size) {
  int64_t wrong = 0;
  for (int rank = 0; rank < world_size; ++rank) {
    const auto model = make_rank(make_mesh(rank, world_size, tp_size), toy_tensors());
    for (BucketShare& share : model->shares) share.master.fill_(7);
    CheckpointReader reader(path);
    load_checkpoint(reader, Phi4Config{}, model->parameters, model->shares);
    wrong += count_wrong(*model);
  }
  return wrong;
}

TEST(Checkpoint, LoadsToTheBitOnEveryOtherMesh) {
  const std::vector<std::pair<int, int>> meshes{{1, 1}, {4, 1}, {1, 4}, {1, 2},
                                                {2, 2}, {3, 1}, {5, 2}};
  for (const auto& [saved_tp, saved_dp] : meshes) {
    const TemporaryFolder folder;
    run_ranks(saved_tp * saved_dp,
              [&](Communicator& world) { save(world, saved_tp, keep_all(folder.path()), 100); });
    const Path path = folder.path() / "step-000100";
    for (const auto& [tp, dp] : meshes) {
      EXPECT_EQ(wrong_after_load(path, tp * dp, tp), 0)
          << "saved " << saved_tp << "x" << saved_dp << ", loaded " << tp << "x" << dp;
    }
  }
}

TEST(Checkpoint, StoresSharedTensorsOnceAndDescribesTheRun) {
  const TemporaryFolder folder;
  run_ranks(4, [&](Communicator& world) { save(world, 2, keep_all(folder.path()), 7); });
  CheckpointReader reader(folder.path() / "step-000007");
  const Manifest& manifest = reader.manifest();
  EXPECT_EQ(manifest.step, 7);
  EXPECT_EQ(manifest.tokens, 7000);
  EXPECT_EQ(manifest.tensor_parallel_size, 2);
  EXPECT_EQ(manifest.data_parallel_size, 2);
  EXPECT_EQ(reader.state_json(), "{\"step\": 1}");
  EXPECT_EQ(reader.config_yaml(), "name: toy\n");
  int64_t elements = 0, stored = 0;
  for (const ToyTensor& tensor : toy_tensors()) elements += checked_numel(tensor.shape, "");
  for (const auto& [name, tensor] : manifest.tensors) {
    for (const ManifestPiece& piece : tensor.pieces) stored += piece.elements.size();
  }
  EXPECT_EQ(stored, elements);
  EXPECT_EQ(read_text(folder.path() / "LATEST", 100), "step-000007\n");
}

TEST(Checkpoint, AnotherModelIsRefusedWithTensorExpectedAndFound) {
  const TemporaryFolder folder;
  const Path path = save_alone(folder.path(), 1);
  const std::string where = "checkpoint " + path.string() + ": ";
  auto tensors = toy_tensors();
  tensors[2].shape = {131, 99};
  EXPECT_EQ(load_error(path, tensors), where +
                                           "tensor layers.0.attention.q.weight: expected shape "
                                           "[131, 99], found [131, 97]");
  tensors = toy_tensors();
  tensors.pop_back();
  EXPECT_EQ(load_error(path, tensors),
            where + "tensor norm.weight: found shape [5], but the model has no such tensor");
  tensors = toy_tensors();
  tensors.push_back({"head.weight", {3, 4}, ParamRole::kReplicated, 0});
  EXPECT_EQ(load_error(path, tensors),
            where + "tensor head.weight: expected shape [3, 4], found no such tensor");
  Phi4Config shape;
  shape.num_attention_heads = 80;
  shape.head_dim = 64;
  EXPECT_EQ(load_error(path, toy_tensors(), shape),
            where + "model.num_attention_heads: expected 80, found 40");
}

TEST(Checkpoint, DamageIsReportedWithFileBlockAndHashes) {
  const TemporaryFolder folder;
  const Path path = save_alone(folder.path(), 1);
  const Path file = path / "rank-00000.safetensors";
  const auto size = static_cast<int64_t>(std::filesystem::file_size(file));
  for (const int64_t offset : {int64_t{3}, int64_t{50}, size / 2, size - 1}) {
    flip_bit(file, offset);
    const std::string message = load_error(path);
    EXPECT_CONTAINS(message,
                    "checkpoint " + path.string() + ": file rank-00000.safetensors: block 0");
    EXPECT_CONTAINS(message, "expected hash ");
    flip_bit(file, offset);
  }
  EXPECT_EQ(load_error(path), "");
  std::filesystem::resize_file(file, static_cast<uintmax_t>(size - 1));
  EXPECT_CONTAINS(load_error(path), "file rank-00000.safetensors: expected " +
                                        std::to_string(size) + " bytes, found " +
                                        std::to_string(size - 1));
  std::filesystem::remove(file);
  EXPECT_CONTAINS(load_error(path), "rank-00000.safetensors: No such file");
}

TEST(Checkpoint, NoByteOfTheManifestMayChange) {
  const TemporaryFolder folder;
  const Path path = save_alone(folder.path(), 1);
  const Path file = path / "manifest.json";
  const std::string text = read_text(file, 1 << 20);
  for (size_t offset = 0; offset < text.size(); offset += 7) {
    if (std::isspace(static_cast<unsigned char>(text[offset])) != 0) continue;
    flip_bit(file, static_cast<int64_t>(offset));
    EXPECT_CONTAINS(load_error(path), "manifest.json") << "byte " << offset;
    flip_bit(file, static_cast<int64_t>(offset));
  }
  std::filesystem::resize_file(file, text.size() / 2);
  EXPECT_CONTAINS(load_error(path), "manifest.json");
}

TEST(Checkpoint, ManifestThatReachesOutsideOrLeavesHolesIsRefused) {
  Manifest manifest;
  manifest.files["../x"] = {};
  EXPECT_CONTAINS(
      message_of([&] { (void)parse_checkpoint_manifest(manifest_text(manifest), "m"); }),
      "m: file ../x: expected a plain file name");
  manifest.files = {{"f", {}}};
  ManifestTensor& tensor = manifest.tensors["t"];
  tensor.shape = {4, 3};
  tensor.pieces = {{"f", 1, {0, 2}, {0, 8}}, {"f", 1, {2, 3}, {0, 4}}};
  EXPECT_NO_THROW(check_coverage(manifest, "m"));
  tensor.pieces[0].elements = {0, 7};
  EXPECT_CONTAINS(message_of([&] { check_coverage(manifest, "m"); }), "m: tensor t: elements");
  tensor.pieces[0] = {"f", 1, {1, 2}, {0, 4}};
  EXPECT_CONTAINS(message_of([&] { check_coverage(manifest, "m"); }), "m: tensor t: rectangles");
  tensor.pieces[0] = {"g", 1, {0, 2}, {0, 8}};
  EXPECT_CONTAINS(message_of([&] { check_coverage(manifest, "m"); }), "file g is not listed");
}

TEST(CheckpointFolder, TakesTheNewestValidOneAndSaysWhatIsWrongWithNewerOnes) {
  const TemporaryFolder folder;
  EXPECT_FALSE(find(folder.path() / "none").path);
  for (const int64_t step : {8, 9, 10, 1000000}) save_alone(folder.path(), step);
  EXPECT_EQ(find(folder.path()).path, folder.path() / "step-1000000");
  flip_bit(folder.path() / "step-1000000" / "rank-00000.safetensors", 5000);
  std::filesystem::remove(folder.path() / "step-000010" / "manifest.json");
  std::filesystem::create_directory(folder.path() / "step-000011.tmp");
  const FoundCheckpoint found = find(folder.path());
  EXPECT_EQ(found.path, folder.path() / "step-000009");
  ASSERT_EQ(found.notes.size(), 2U);
  EXPECT_CONTAINS(found.notes[0], "block 0");
  EXPECT_CONTAINS(found.notes[1], "step-000010: manifest.json is missing");
}

TEST(CheckpointFolder, AllRanksFindTheSameWhoeverReadsTheDamage) {
  const TemporaryFolder folder;
  run_ranks(3, [&](Communicator& world) {
    save(world, 1, keep_all(folder.path()), 1);
    save(world, 1, keep_all(folder.path()), 2);
  });
  flip_bit(folder.path() / "step-000002" / "rank-00001.safetensors", 5000);
  run_ranks(3, [&](Communicator& world) {
    const FoundCheckpoint found = find_checkpoint(folder.path(), world);
    EXPECT_EQ(found.path, folder.path() / "step-000001");
    EXPECT_EQ(found.notes.size(), 1U);
  });
}

std::vector<std::string> names_in(const Path& folder) {
  std::vector<std::string> names;
  for (const auto& item : std::filesystem::directory_iterator(folder)) {
    const std::string name = item.path().filename().string();
    if (item.is_directory() && name != ".trash") names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

using Names = std::vector<std::string>;

TEST(CheckpointFolder, SavesAfterARewindAreKeptAndFoundAndTheLeftBranchIsSetAside) {
  const TemporaryFolder folder;
  const Path& at = folder.path();
  for (const int64_t step : {10, 20, 30, 40}) save_alone(at, step);
  const Path resumed_from = at / "step-000010";
  save_alone(at, 11, 3, resumed_from);
  const Names abandoned{"abandoned-000020", "abandoned-000030", "abandoned-000040"};
  Names expected = abandoned;
  expected.insert(expected.end(), {"step-000010", "step-000011"});
  EXPECT_EQ(names_in(at), expected);
  EXPECT_EQ(find(at).path, at / "step-000011");
  EXPECT_TRUE(find(at).notes.empty());
  EXPECT_EQ(read_text(at / "LATEST", 100), "step-000011\n");
  for (const int64_t step : {12, 13, 20}) save_alone(at, step, 3, resumed_from);
  save_alone(at, 14, 3, resumed_from);
  clean_checkpoints(at);
  EXPECT_EQ(names_in(at),
            (Names{"abandoned-000020", "abandoned-000020.2", "abandoned-000030", "abandoned-000040",
                   "step-000010", "step-000012", "step-000013", "step-000014"}));
  EXPECT_EQ(wrong_after_load(at / "abandoned-000040", 1, 1), 0);
}

TEST(CheckpointFolder, ADamagedNewerOneDoesNotCostTheOneJustSaved) {
  const TemporaryFolder folder;
  const Path& at = folder.path();
  save_alone(at, 10);
  flip_bit(save_alone(at, 12) / "rank-00000.safetensors", 5000);
  save_alone(at, 11, 1);
  EXPECT_EQ(names_in(at), (Names{"abandoned-000012", "step-000011"}));
  EXPECT_EQ(wrong_after_load(at / "step-000011", 1, 1), 0);
}

TEST(CheckpointFolder, PruningNeverTouchesTheNewestOrLaterSteps) {
  const TemporaryFolder folder;
  for (const int64_t step : {1, 2, 3, 4}) save_alone(folder.path(), step);
  prune_checkpoints(folder.path(), 2, {1, {}, {}});
  EXPECT_EQ(names_in(folder.path()), (Names{"step-000002", "step-000003", "step-000004"}));
}

TEST(CheckpointFolder, KeepsTheLastCompleteOnesAndTheOneResumedFrom) {
  const TemporaryFolder folder;
  const Path& at = folder.path();
  for (const int64_t step : {1, 2, 3, 4}) save_alone(at, step);
  std::filesystem::remove(at / "step-000004" / "state.json");
  save_alone(at, 5, 2, at / "step-000001");
  std::vector<int64_t> steps;
  for (const CheckpointEntry& entry : list_checkpoints(at)) steps.push_back(entry.step);
  EXPECT_EQ(steps, (std::vector<int64_t>{1, 3, 4, 5}));
}

TEST(CheckpointFolder, KeepsForEverTheFirstAtOrPastEachMultiple) {
  const TemporaryFolder folder;
  const Path& at = folder.path();
  const Retention retention{1, {Duration::Unit::kSteps, 10}, {}};
  for (const int64_t step : {4, 9, 11, 15, 20, 27, 29, 33, 35}) {
    run_ranks(1, [&](Communicator& world) { save(world, 1, {at, retention}, step); });
  }
  std::vector<int64_t> steps;
  for (const CheckpointEntry& entry : list_checkpoints(at)) steps.push_back(entry.step);
  EXPECT_EQ(steps, (std::vector<int64_t>{11, 20, 33, 35}));
}

TEST(CheckpointFolder, CleaningRemovesLeftoversOnly) {
  const TemporaryFolder folder;
  save_alone(folder.path(), 3);
  for (const char* name : {"step-000004.tmp", ".trash", "mine.tmp"}) {
    std::filesystem::create_directories(folder.path() / name / "x");
  }
  clean_checkpoints(folder.path());
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "step-000004.tmp"));
  EXPECT_FALSE(std::filesystem::exists(folder.path() / ".trash"));
  EXPECT_TRUE(std::filesystem::exists(folder.path() / "mine.tmp"));
  EXPECT_TRUE(std::filesystem::exists(folder.path() / "step-000003"));
}

TEST(CheckpointSave, SameStepIsReplaced) {
  const TemporaryFolder folder;
  const Path path = save_alone(folder.path(), 3);
  flip_bit(path / "rank-00000.safetensors", 5000);
  save_alone(folder.path(), 3);
  EXPECT_EQ(wrong_after_load(path, 1, 1), 0);
  EXPECT_EQ(names_in(folder.path()), Names{"step-000003"});
}

// The child saves step 3 again and ends at the given rename. Returns its exit code.
int save_again_with_power_cut(const Path& folder, bool exchange, int renames_before) {
  const pid_t child = ::fork();
  if (child == 0) {
    renames = {exchange, renames_before, {}};
    save_alone(folder, 3);
    ::_exit(0);
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return WEXITSTATUS(status);
}

TEST(CheckpointSave, PowerCutWhileAStepIsSavedAgainLosesNothing) {
  for (const bool exchange : {true, false}) {
    int power_cuts = 0;
    for (bool done = false; !done;) {
      SCOPED_TRACE(testing::Message() << "exchange " << exchange << ", renames " << power_cuts);
      const TemporaryFolder folder;
      const Path path = save_alone(folder.path(), 3);
      done = save_again_with_power_cut(folder.path(), exchange, power_cuts) == 0;
      if (!done) ++power_cuts;
      if (exchange) {
        EXPECT_TRUE(std::filesystem::exists(path));
      }
      EXPECT_EQ(find(folder.path()).path, path);
      clean_checkpoints(folder.path());
      EXPECT_EQ(names_in(folder.path()), Names{"step-000003"});
      EXPECT_EQ(wrong_after_load(path, 1, 1), 0);
      ASSERT_LT(power_cuts, 9);
    }
    EXPECT_EQ(power_cuts, exchange ? 2 : 4);  // the last one is that of LATEST
  }
}

TEST(CheckpointSave, CleaningAloneTakesBackAReplacedCheckpoint) {
  const TemporaryFolder folder;
  const Path path = save_alone(folder.path(), 3);
  std::filesystem::rename(path, path.string() + ".old");
  clean_checkpoints(folder.path());
  EXPECT_EQ(names_in(folder.path()), Names{"step-000003"});
  EXPECT_EQ(wrong_after_load(path, 1, 1), 0);
}

TEST(CheckpointSave, TheReplacedOneComesBackIfTheNewOneCannotBeReadBack) {
  const TemporaryFolder folder;
  const Path path = save_alone(folder.path(), 3);
  renames.then = [&] { flip_bit(path / "rank-00000.safetensors", 5000); };
  EXPECT_CONTAINS(message_of([&] { save_alone(folder.path(), 3); }), "read back: ");
  EXPECT_EQ(wrong_after_load(path, 1, 1), 0);
}

TEST(CheckpointSave, FolderThatCannotBeMadeIsOneMessageOnAllRanks) {
  const TemporaryFolder folder;
  std::ofstream(folder.path() / "file") << "x";
  run_ranks(2, [&](Communicator& world) {
    const std::string message =
        message_of([&] { save(world, 2, keep_all(folder.path() / "file" / "checkpoints"), 1); });
    EXPECT_CONTAINS(message, (folder.path() / "file").string());
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  });
}

// A file-size limit stands in for a full disk; it binds a whole process, hence the child.
TEST(CheckpointSave, FullDiskLeavesTheOlderCheckpointAndNothingElse) {
  const TemporaryFolder folder;
  save_alone(folder.path(), 1);
  const pid_t child = ::fork();
  if (child == 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{100000, 100000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    const std::string message = message_of([&] { save_alone(folder.path(), 2); });
    const bool named =
        message.find("step-000002.tmp/rank-00000.safetensors: File too large") != std::string::npos;
    ::_exit(named ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "step-000002.tmp"));
  EXPECT_EQ(find(folder.path()).path, folder.path() / "step-000001");
  EXPECT_EQ(wrong_after_load(folder.path() / "step-000001", 1, 1), 0);
}

TEST(CheckpointSave, NothingIsACheckpointBeforeTheCommit) {
  const TemporaryFolder folder;
  const auto model = make_rank(Mesh{}, toy_tensors());
  fill_toy(*model);
  const Phi4Config shape;
  const CheckpointContents contents = contents_of(*model, shape, 1);
  const Path path = checkpoint_path(folder.path(), 1);
  Manifest part = write_rank_part(make_staging_folder(path), contents, Mesh{});
  EXPECT_TRUE(list_checkpoints(folder.path()).empty());
  EXPECT_FALSE(std::filesystem::exists(staging_folder(path) / "manifest.json"));
  commit_checkpoint(path, std::move(part), contents);
  EXPECT_EQ(wrong_after_load(path, 1, 1), 0);
}

}  // namespace
}  // namespace phalanx
