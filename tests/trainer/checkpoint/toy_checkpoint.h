#pragma once
// Checkpoints of the toy model of support.h: saved on thread ranks, found, damaged and loaded.
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tests/support/ranks.h"
#include "tests/trainer/checkpoint/support.h"
#include "trainer/checkpoint/checkpoint_folder.h"
#include "trainer/checkpoint/checkpoint_reader.h"
#include "trainer/checkpoint/checkpoint_saver.h"

namespace phalanx {

using Path = std::filesystem::path;

inline CheckpointContents contents_of(const RankModel& model, const Phi4Config& shape,
                                      int64_t step) {
  return {model.parameters, model.shares, shape, step, step * 1000, "{\"step\": 1}", "name: toy\n"};
}

inline CheckpointPlace keep_all(const Path& folder) { return {folder, {0, {}, {}}}; }

inline void save(Communicator& world, int tp_size, const CheckpointPlace& place, int64_t step) {
  const Mesh mesh = make_mesh(world.rank(), world.size(), tp_size);
  const auto model = make_rank(mesh, toy_tensors());
  fill_toy(*model);
  save_checkpoint(place, contents_of(*model, Phi4Config{}, step), mesh, world);
}

inline Path save_alone(const Path& folder, int64_t step, int64_t keep_last = 0,
                       const Path& resumed_from = {}) {
  run_ranks(1, [&](Communicator& world) {
    save(world, 1, {folder, {keep_last, {}, resumed_from}}, step);
  });
  return checkpoint_path(folder, step);
}

inline FoundCheckpoint find(const Path& folder) {
  FoundCheckpoint found;
  run_ranks(1, [&](Communicator& world) { found = find_checkpoint(folder, world); });
  return found;
}

inline void flip_bit(const Path& file, int64_t offset) {
  std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
  stream.seekg(offset);
  const char byte = static_cast<char>(stream.get() ^ 4);
  stream.seekp(offset);
  stream.put(byte);
}

inline std::string load_error(const Path& path,
                              const std::vector<ToyTensor>& tensors = toy_tensors(),
                              const Phi4Config& shape = {}) {
  return message_of([&] {
    const auto model = make_rank(Mesh{}, tensors);
    CheckpointReader reader(path);
    load_checkpoint(reader, shape, model->parameters, model->shares);
  });
}

inline int64_t wrong_after_load(const Path& path, int world_size, int tp_size) {
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

}  // namespace phalanx
