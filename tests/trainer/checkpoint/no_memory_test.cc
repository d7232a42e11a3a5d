// What a saver does beside training, and what a start looks for, without memory: with each single
// allocation failing once, and with all failing from there on. std::bad_alloc comes out of it and
// nothing else, no place lets the program end, what was saved before stays, and the next save is
// made. The program's operator new is in this file.
#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>
#include <iostream>
#include <new>
#include <optional>
#include <string>
#include <utility>

#include "parallel/exit_codes.h"
#include "tests/trainer/checkpoint/toy_checkpoint.h"
#include "trainer/checkpoint/checkpoint_writer.h"
#include "trainer/checkpoint/manifest.h"

namespace {

struct Memory {
  int64_t allocations_left = -1;  // until the one that fails; negative: none does
  bool stays_away = false;        // those after it fail too
  bool has_failed = false;

  bool fails() {
    if (allocations_left < 0 || allocations_left-- > 0) return false;
    if (stays_away) allocations_left = 0;
    return has_failed = true;
  }
};
thread_local Memory memory;

}  // namespace

void* operator new(size_t size) {
  void* bytes = memory.fails() ? nullptr : std::malloc(size == 0 ? 1 : size);
  if (bytes == nullptr) throw std::bad_alloc();
  return bytes;
}
void operator delete(void* bytes) noexcept { std::free(bytes); }
void operator delete(void* bytes, size_t) noexcept { std::free(bytes); }

namespace phalanx {
namespace {

/// Whether `work` got as far as its allocation of that number, from 0, and said that it failed.
bool fails_at(int64_t allocation, bool stays_away, const std::function<void()>& work) {
  memory = {allocation, stays_away, false};
  bool failed = false;
  std::string said;
  try {
    work();
    failed = std::exchange(memory, {}).has_failed;
  } catch (const std::exception& error) {
    failed = std::exchange(memory, {}).has_failed;
    said = error_text(error);
  }
  EXPECT_EQ(failed, said.starts_with("out of memory: ")) << "allocation " << allocation << said;
  return failed;
}

/// Each allocation of `work` in turn, and how many failed; `look` says what holds after each. Of
/// the moments from which on there is none a seventh will do.
int64_t fail_each(const std::function<void()>& work, const std::function<void()>& look) {
  int64_t faults = 0;
  for (const bool stays_away : {true, false}) {
    const int64_t stride = stays_away ? 7 : 1;
    for (int64_t allocation = 0; fails_at(allocation, stays_away, work); allocation += stride) {
      SCOPED_TRACE(allocation);
      look();
      ++faults;
    }
  }
  return faults;
}

class WithoutMemory : public ::testing::Test {
 protected:
  const Path& folder() const { return folder_.path(); }
  Path step(int64_t number) const { return checkpoint_path(folder(), number); }

 private:
  TemporaryFolder folder_;
};

/// As CheckpointSaver's two tasks do, on this thread.
void save_here(const CheckpointPlace& place, const CheckpointContents& contents) {
  const Path path = checkpoint_path(place.folder, contents.step);
  const std::string part = manifest_text(write_rank_part(staging_folder(path), contents, Mesh{}));
  seal_checkpoint(path, parse_checkpoint_manifest(part, "part of rank 0"), contents);
  commit_checkpoint(path);
  settle_checkpoint(place, contents.step);
}

TEST_F(WithoutMemory, ASaveCostsThatSaveAlone) {
  save_alone(folder(), 1);
  const auto model = make_rank(Mesh{}, toy_tensors());
  fill_toy(*model);
  const Phi4Config shape;
  const CheckpointContents contents = contents_of(*model, shape, 2);
  const auto save = [&] { save_here(keep_all(folder()), contents); };
  const int64_t faults = fail_each(save, [&] {
    const auto found = find(folder()).path;
    ASSERT_TRUE(found.has_value());
    EXPECT_EQ(wrong_after_load(*found, 1, 1), 0);
  });
  EXPECT_EQ(find(folder()).path, step(2));
  EXPECT_GT(faults, 1000);
  std::cout << "faults: " << faults << " allocations of a save that failed\n";
}

TEST_F(WithoutMemory, PruningTakesNoPermanentCheckpoint) {
  for (const int64_t number : {11, 15, 20, 21}) save_alone(folder(), number);
  flip_bit(step(15) / "manifest.json", 40);
  const Retention retention{1, {Duration::Unit::kSteps, 10}, {}};
  const auto prune = [&] { prune_checkpoints(folder(), 21, retention); };
  const int64_t faults = fail_each(prune, [&] {
    for (const int64_t number : {11, 20, 21}) EXPECT_TRUE(std::filesystem::exists(step(number)));
  });
  EXPECT_FALSE(std::filesystem::exists(step(15)));
  EXPECT_GT(faults, 1000);
  std::cout << "faults: " << faults << " allocations of a pruning that failed\n";
}

TEST_F(WithoutMemory, AStartTakesNoOlderCheckpoint) {
  for (const int64_t number : {1, 2}) save_alone(folder(), number);
  int64_t faults = 0;
  run_ranks(1, [&](Communicator& world) {
    std::optional<Path> found;
    const auto search = [&] {
      found.reset();
      found = find_checkpoint(folder(), world).path;
    };
    faults = fail_each(search, [&] { EXPECT_FALSE(found.has_value()); });
  });
  EXPECT_EQ(find(folder()).path, step(2));
  EXPECT_GT(faults, 400);
  std::cout << "faults: " << faults << " allocations of a search that failed\n";
}

}  // namespace
}  // namespace phalanx
