// What a saver does beside training, with every single allocation failing once: std::bad_alloc
// comes out of it and nothing else, no place lets the program end, what was saved before stays,
// and the next save is made. The program's operator new is in this file.
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>
#include <new>

#include "tests/trainer/checkpoint/toy_checkpoint.h"
#include "trainer/checkpoint/checkpoint_writer.h"
#include "trainer/checkpoint/manifest.h"

namespace {

thread_local int64_t allocations_left = -1;  // until the one that fails; negative: none does

}  // namespace

void* operator new(size_t size) {
  const bool fails = allocations_left >= 0 && allocations_left-- == 0;
  void* bytes = fails ? nullptr : std::malloc(size == 0 ? 1 : size);
  if (bytes == nullptr) throw std::bad_alloc();
  return bytes;
}
void operator delete(void* bytes) noexcept { std::free(bytes); }
void operator delete(void* bytes, size_t) noexcept { std::free(bytes); }

namespace phalanx {
namespace {

/// As CheckpointSaver's two tasks do, on this thread.
void save_here(const CheckpointPlace& place, const CheckpointContents& contents) {
  const Path path = checkpoint_path(place.folder, contents.step);
  const std::string part = manifest_text(write_rank_part(staging_folder(path), contents, Mesh{}));
  seal_checkpoint(path, parse_checkpoint_manifest(part, "part of rank 0"), contents);
  commit_checkpoint(path);
  settle_checkpoint(place, contents.step);
}

/// Whether the save got as far as its allocation of that number, from 0.
bool fails_at(int64_t allocation, const CheckpointPlace& place,
              const CheckpointContents& contents) {
  allocations_left = allocation;
  try {
    save_here(place, contents);
  } catch (const std::bad_alloc&) {
    return true;
  }
  const bool reached = allocations_left < 0;
  allocations_left = -1;
  EXPECT_FALSE(reached) << "allocation " << allocation << " failed and nobody said so";
  return false;
}

TEST(SaveWithoutMemory, CostsThatSaveAlone) {
  const TemporaryFolder folder;
  save_alone(folder.path(), 1);
  const auto model = make_rank(Mesh{}, toy_tensors());
  fill_toy(*model);
  const Phi4Config shape;
  const CheckpointContents contents = contents_of(*model, shape, 2);
  int64_t faults = 0;
  while (fails_at(faults, keep_all(folder.path()), contents)) {
    const auto found = find(folder.path()).path;
    ASSERT_TRUE(found.has_value()) << "allocation " << faults;
    EXPECT_EQ(wrong_after_load(*found, 1, 1), 0) << "allocation " << faults;
    ++faults;
  }
  EXPECT_EQ(find(folder.path()).path, checkpoint_path(folder.path(), 2));
  EXPECT_GT(faults, 100);
  std::cout << "faults: " << faults << " allocations of a save that failed\n";
}

}  // namespace
}  // namespace phalanx
