// What a save leaves in the folder: after a rewind, a second save of a step, a failure, a power
// cut.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <fstream>

#include "tests/support/thread_sanitizer.h"
#include "tests/trainer/checkpoint/toy_checkpoint.h"

namespace {

// Global because the C functions below, which stand in for the library's, read it.
struct Renames {
  bool exchange = true;       // can the file system exchange names?
  int before_power_cut = -1;  // the process ends at the call after so many; -1: never
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
  return rename_with(from, to, flags);
}

namespace phalanx {
namespace {

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

/// The branch that was left may have ended before the first save of the new one.
TEST(CheckpointFolder, TheFirstSaveOfAStartSetsTheLeftBranchAside) {
  const TemporaryFolder folder;
  const Path& at = folder.path();
  for (const int64_t step : {10, 20, 30}) save_alone(at, step);
  settle_checkpoint({at, {0, {}, at / "step-000010"}, SaveOrder::kLater}, 30);
  EXPECT_EQ(names_in(at), (Names{"step-000010", "step-000020", "step-000030"}));
  settle_checkpoint({at, {0, {}, {}}, SaveOrder::kFirst}, 30);  // not resumed
  settle_checkpoint({at, {0, {}, "/elsewhere/step-000010"}, SaveOrder::kFirst}, 30);
  EXPECT_EQ(names_in(at), (Names{"step-000010", "step-000020", "step-000030"}));
  settle_checkpoint({at, {0, {}, at / "step-000010"}, SaveOrder::kFirst}, 30);
  EXPECT_EQ(names_in(at), (Names{"abandoned-000020", "step-000010", "step-000030"}));
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
    renames = {exchange, renames_before};
    save_alone(folder, 3);
    ::_exit(0);
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return WEXITSTATUS(status);
}

TEST(CheckpointSave, PowerCutWhileAStepIsSavedAgainLosesNothing) {
  SKIP_UNDER_THREAD_SANITIZER("threads in a child process");
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
  SKIP_UNDER_THREAD_SANITIZER("threads in a child process");
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
  seal_checkpoint(path, std::move(part), contents);
  EXPECT_TRUE(list_checkpoints(folder.path()).empty());
  commit_checkpoint(path);
  EXPECT_EQ(wrong_after_load(path, 1, 1), 0);
}

}  // namespace
}  // namespace phalanx
