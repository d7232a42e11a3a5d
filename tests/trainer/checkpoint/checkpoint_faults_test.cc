// Saves on a disk that loses what was not synced, fails at any call, or lies: what is left is the
// old checkpoint or the new one, whole, and the next save works.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <functional>
#include <iostream>
#include <thread>

#include "tests/support/faulty_disk.h"
#include "tests/trainer/checkpoint/toy_checkpoint.h"
#include "trainer/checkpoint/share_snapshot.h"

namespace phalanx {
namespace {

using Answer = FaultyDisk::Answer;

constexpr const char* kRankFile = "rank-00000.safetensors";

class CheckpointFaults : public ::testing::Test {
 protected:
  CheckpointFaults() { std::filesystem::create_directory(at_); }
  ~CheckpointFaults() override {
    if (faults_ > 0) std::cout << "faults: " << faults_ << " of a disk\n";
  }

  Path step(int64_t number) const { return checkpoint_path(at_, number); }
  bool leftovers() const {
    for (const auto& item : std::filesystem::directory_iterator(at_)) {
      if (item.path().extension() == ".tmp") return true;
    }
    return false;
  }
  std::string save_error(int64_t number) const {
    return message_of([&] { save_alone(at_, number); });
  }

  /// Falls back from step 2 to step 1 and says `words` of step 2, which is then as it was.
  void expect_found_out(const std::vector<std::string>& words,
                        const std::function<void(const Path&)>& damage) {
    const Path damaged = step(2), whole = folder_.path() / "whole";
    std::filesystem::copy(damaged, whole, std::filesystem::copy_options::recursive);
    damage(damaged);
    const FoundCheckpoint found = find(at_);
    EXPECT_EQ(found.path, step(1));
    ASSERT_EQ(found.notes.size(), 1U);
    for (const std::string& word : words) EXPECT_CONTAINS(found.notes[0], word);
    std::filesystem::remove_all(damaged);
    std::filesystem::rename(whole, damaged);
    ++faults_;
  }

  size_t faults_ = 0;  // that were made and borne
  TemporaryFolder folder_;
  Path at_ = folder_.path() / "checkpoints";
};

int64_t count_valid(const Path& folder) {
  int64_t valid = 0;
  for (const CheckpointEntry& entry : list_checkpoints(folder)) {
    run_ranks(1,
              [&](Communicator& world) { valid += verify_checkpoint(entry.path, world).empty(); });
  }
  return valid;
}

/// The step of the newest valid checkpoint after a power cut, once the next start has cleaned up.
std::string newest_after(const DiskState& state, int64_t& valid) {
  const TemporaryFolder folder;
  const Path at = folder.path() / "after";
  restore(state, at);
  const FoundCheckpoint found = find(at);
  if (!found.path) return "none";
  clean_checkpoints(at);
  EXPECT_EQ(wrong_after_load(*found.path, 1, 1), 0);
  valid = count_valid(at);
  return found.path->filename().string();
}

TEST_F(CheckpointFaults, APowerCutAtAnyCallLeavesTheOldOrTheNewOneAndNoFewerThanAreKept) {
  for (const int64_t number : {1, 2, 3}) save_alone(at_, number, 2, step(1));
  FaultyDisk disk(at_);
  save_alone(at_, 4, 2, step(1));
  int64_t olds = 0, news = 0, valid = 0;
  for (const DiskState& state : disk.states()) {
    const std::string newest = newest_after(state, valid);
    olds += newest == "step-000003";
    news += newest == "step-000004";
    EXPECT_GE(valid, 3) << "two, and the one that was resumed from; newest " << newest;
    EXPECT_TRUE(state.contains("step-000001/manifest.json"));
  }
  faults_ = disk.states().size();
  EXPECT_EQ(olds + news, static_cast<int64_t>(faults_));
  EXPECT_GT(olds, 20);
  EXPECT_GT(news, 5);
  for (const DiskState& state : disk.states_now()) {
    EXPECT_EQ(newest_after(state, valid), "step-000004") << "after the save has ended";
  }
}

TEST_F(CheckpointFaults, APowerCutWhileAStepIsSavedAgainLeavesItWhole) {
  for (const int64_t number : {2, 3}) save_alone(at_, number);
  FaultyDisk disk(at_);
  save_alone(at_, 3);
  int64_t valid = 0;
  for (const DiskState& state : disk.states()) {
    EXPECT_EQ(newest_after(state, valid), "step-000003");
    ++faults_;
  }
}

// Where the file system goes on to fail at nothing else. `number` of the call counts from 0.
TEST_F(CheckpointFaults, AnErrorAtAnyCallLeavesTheOldOneAndTheNextSaveWorks) {
  size_t failed_saves = 0, fault = 0;
  for (bool reached = true; reached; ++fault) {
    const int error = fault % 2 == 0 ? ENOSPC : EIO;
    std::filesystem::remove_all(at_);
    std::filesystem::create_directory(at_);
    save_alone(at_, 1, 1);
    FaultyDisk disk(at_);
    std::string failing;
    disk.ask = [&](size_t number, const std::string& call) -> Answer {
      if (number != fault) return {};
      failing = call;
      return {error};
    };
    const std::string message = message_of([&] { save_alone(at_, 2, 1); });
    disk.ask = nullptr;
    SCOPED_TRACE(failing + ": " + message);
    reached = !failing.empty();
    const Path newest = find(at_).path.value_or("none");
    EXPECT_TRUE(newest == step(2) || (newest == step(1) && !message.empty())) << newest;
    if (!message.empty()) {
      ++failed_saves;
      EXPECT_CONTAINS(message, std::strerror(error));
      EXPECT_CONTAINS(message, at_.string());
    }
    EXPECT_EQ(message_of([&] { save_alone(at_, 3, 1); }), "");
    EXPECT_EQ(find(at_).path, step(3));
    EXPECT_FALSE(leftovers());
  }
  faults_ = fault - 1;
  EXPECT_GT(failed_saves, 20U) << "of " << fault << " calls";
}

TEST_F(CheckpointFaults, AfterAFailedFsyncTheFileIsWrittenAnewInFull) {
  FaultyDisk disk(at_);
  disk.ask = [&, failed = false](size_t, const std::string& call) mutable -> Answer {
    if (failed || !call.starts_with("fsync ") || !call.ends_with(kRankFile)) return {};
    failed = true;
    return {EIO};
  };
  save_alone(at_, 1);
  std::vector<std::string> calls = disk.calls();
  std::erase_if(calls, [](const std::string& call) {
    return !call.ends_with(kRankFile) || call.starts_with("f") != call.starts_with("fsync");
  });
  const std::string file = std::string(" step-000001.tmp/") + kRankFile;
  EXPECT_EQ(calls, (std::vector<std::string>{"open" + file, "pwrite" + file, "fsync" + file,
                                             "unlink" + file, "close" + file, "open" + file,
                                             "pwrite" + file, "fsync" + file, "close" + file}));
  EXPECT_EQ(wrong_after_load(step(1), 1, 1), 0);
  for (const DiskState& state : disk.states_now()) {
    int64_t valid = 0;
    EXPECT_EQ(newest_after(state, valid), "step-000001");
  }
}

TEST_F(CheckpointFaults, AnFsyncThatGoesOnFailingFailsTheSave) {
  FaultyDisk disk(at_);
  disk.ask = [](size_t, const std::string& call) -> Answer {
    return {call.starts_with("fsync ") && call.ends_with(kRankFile) ? EIO : 0};
  };
  EXPECT_CONTAINS(save_error(1), std::string(kRankFile) + ": Input/output error");
  EXPECT_FALSE(std::filesystem::exists(step(1)));
  EXPECT_FALSE(leftovers());
}

TEST_F(CheckpointFaults, AWriteThatOnlyClaimsToBeDoneIsFoundBeforeTheCheckpointHasAName) {
  save_alone(at_, 1);
  size_t lies = 0;
  for (const char* file : {kRankFile, "state.json", "config.yaml", "manifest.json"}) {
    for (const int64_t number : {1, 2}) {  // step 1 would be replaced
      FaultyDisk disk(at_);
      disk.ask = [&](size_t, const std::string& call) -> Answer {
        if (!call.starts_with("pwrite ") || !call.ends_with(file)) return {};
        ++lies;
        return {EIO, FaultyDisk::Fault::kLie};
      };
      EXPECT_CONTAINS(save_error(number), "read back: file " + at_.string());
      EXPECT_EQ(find(at_).path, step(1));
      EXPECT_FALSE(leftovers());
      for (const std::string& call : disk.calls())
        EXPECT_FALSE(call.starts_with("rename ")) << call;
    }
  }
  EXPECT_EQ(lies, 8U);
  faults_ = lies;
  EXPECT_EQ(wrong_after_load(step(1), 1, 1), 0);
}

// Of the disk itself: a file's number goes to the next one opened as soon as it is closed.
TEST_F(CheckpointFaults, TheDiskFollowsFilesOfManyThreads) {
  for (int file = 0; file < 4; ++file) std::ofstream(at_ / std::to_string(file)) << file;
  FaultyDisk disk(at_);
  std::atomic<int> followed = 0;
  std::vector<std::jthread> threads;
  for (int file = 0; file < 4; ++file) {
    threads.emplace_back([&, path = at_ / std::to_string(file)] {
      for (int time = 0; time < 500; ++time) {
        const int descriptor = ::open(path.c_str(), O_WRONLY);
        followed += message_of([&] { ::fsync(descriptor); }).empty();
        ::close(descriptor);
      }
    });
  }
  threads.clear();
  EXPECT_EQ(followed, 4 * 500);
  EXPECT_EQ(disk.calls().size(), 3 * 4 * 500U);
}

TEST_F(CheckpointFaults, OneRankThatFailsKeepsAllFromCommitting) {
  FaultyDisk disk(at_);
  disk.ask = [](size_t, const std::string& call) -> Answer {
    return {call.starts_with("pwrite ") && call.ends_with("rank-00002.safetensors") ? ENOSPC : 0};
  };
  run_ranks(4, [&](Communicator& world) {
    const std::string message = message_of([&] { save(world, 2, keep_all(at_), 1); });
    EXPECT_EQ(message, "write " + step(1).string() +
                           ".tmp/rank-00002.safetensors: No space left on device (on rank 2)");
  });
  EXPECT_TRUE(std::filesystem::is_empty(at_));
  disk.ask = nullptr;
  run_ranks(4, [&](Communicator& world) { save(world, 2, keep_all(at_), 1); });
  EXPECT_EQ(wrong_after_load(step(1), 4, 2), 0);
}

TEST_F(CheckpointFaults, DamageAnywhereIsFoundOutAndTheOneBeforeIsTaken) {
  run_ranks(2, [&](Communicator& world) {
    for (const int64_t number : {1, 2}) save(world, 1, keep_all(at_), number);
  });
  const std::string other = "rank-00001.safetensors";
  for (const std::string& file :
       std::vector<std::string>{kRankFile, other, "state.json", "config.yaml"}) {
    const auto bytes = static_cast<int64_t>(std::filesystem::file_size(step(2) / file));
    for (int64_t at = bytes % 4096 / 2; at < bytes; at += 4096) {
      expect_found_out({"file " + file + ": block 0", "the file is damaged"},
                       [&](const Path& damaged) { flip_bit(damaged / file, at); });
    }
    const std::string expected = "file " + file + ": expected " + std::to_string(bytes) + " bytes";
    for (const int64_t size : {bytes - 1, bytes + 1, int64_t{0}}) {
      expect_found_out({expected}, [&](const Path& damaged) {
        std::filesystem::resize_file(damaged / file, static_cast<uintmax_t>(size));
      });
    }
    expect_found_out({file, "No such file"},
                     [&](const Path& damaged) { std::filesystem::remove(damaged / file); });
  }
  expect_found_out({"file rank-0000"}, [&](const Path& damaged) {
    std::filesystem::rename(damaged / other, damaged / "x");
    std::filesystem::rename(damaged / kRankFile, damaged / other);
    std::filesystem::rename(damaged / "x", damaged / kRankFile);
  });
  EXPECT_EQ(find(at_).path, step(2));
}

TEST_F(CheckpointFaults, WhatIsSavedIsWhatTheSnapshotTookWhateverTheRunDoesMeanwhile) {
  run_ranks(2, [&](Communicator& world) {
    const Mesh mesh = make_mesh(world.rank(), world.size(), 1);
    const auto model = make_rank(mesh, toy_tensors());
    fill_toy(*model);
    ShareSnapshot snapshot(model->shares);
    snapshot.take(model->shares);
    CheckpointSaver saver(keep_all(at_), mesh, world);
    const Phi4Config shape;
    saver.start({model->parameters, snapshot.shares(), shape, 1, 1000, "{}", "name: toy\n"},
                /*gently=*/true);
    for (BucketShare& share : model->shares) share.master.fill_(7);
    EXPECT_TRUE(saver.running());
    EXPECT_EQ(saver.finish().error, "");
    EXPECT_FALSE(saver.running());
  });
  EXPECT_EQ(wrong_after_load(step(1), 2, 1), 0);
}

}  // namespace
}  // namespace phalanx
