// Saving on one mesh and loading on another, and what damage is reported as.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cctype>
#include <cstdio>
#include <fstream>

#include "tests/trainer/checkpoint/toy_checkpoint.h"
#include "trainer/checkpoint/manifest_model.h"

namespace phalanx {
namespace {

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

TEST(Checkpoint, WithoutMomentsOnlyTheMastersAreFilled) {
  const TemporaryFolder folder;
  CheckpointReader reader(save_alone(folder.path(), 1));
  const auto model = make_rank(Mesh{}, toy_tensors());
  load_checkpoint(reader, Phi4Config{}, model->parameters, model->shares, /*moments=*/false);
  int64_t wrong = 0, masters = 0;
  visit_toy_elements(*model, [&](float& element, float value, size_t kind) {
    wrong += element != (kind == 0 ? value : 0.0F);
    masters += kind == 0;
  });
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(masters, 20'000);
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
            fmt::format("{0}expected the model of the configuration, found another:\n"
                        "  model.num_attention_heads: the configuration has 80, {1} has 40\n"
                        "  model.head_dim: the configuration has 64, {1} has 128",
                        where, path.string()));
}

/// Written by the version before rotation in part, LongRoPE and windows.
TEST(Checkpoint, AnOlderManifestIsAModelWithoutThem) {
  const Path sample =
      Path(PHALANX_SOURCE_DIR) / "tests/trainer/checkpoint/manifest_before_positions.json";
  const Manifest manifest = parse_checkpoint_manifest(read_text(sample, 10000), "m");
  EXPECT_NO_THROW(check_coverage(manifest, "m"));
  Phi4Config expected;
  expected.vocab_size = 11;
  expected.hidden_size = 8;
  expected.intermediate_size = 12;
  expected.num_hidden_layers = 1;
  expected.num_attention_heads = 2;
  expected.num_key_value_heads = 1;
  expected.head_dim = 4;
  expected.rms_norm_eps = 1e-6;
  expected.initializer_range = 0.05;
  expected.tie_word_embeddings = true;
  expected.partial_rotary_factor = 1;
  expected.sliding_window = 0;
  expected.rope_scaling = RopeScaling::kNone;
  EXPECT_NO_THROW(check_same_model(manifest.model, expected, "c", "m"));
  EXPECT_EQ(manifest.step, 3);
}

TEST(Checkpoint, NothingHidesBehindAZeroByteOfTheManifest) {
  const std::string text = manifest_text(Manifest{});
  EXPECT_NO_THROW((void)parse_checkpoint_manifest(text, "m"));
  EXPECT_CONTAINS(message_of([&] { (void)parse_checkpoint_manifest(text + '\0' + "more", "m"); }),
                  fmt::format("m: byte {}: expected JSON, found a zero", text.size()));
}

TEST(Checkpoint, TheManifestKeepsHowPositionsAreToldApartAndSeen) {
  Manifest manifest;
  Phi4Config& model = manifest.model;
  model.partial_rotary_factor = 0.75;
  model.sliding_window = 2047;
  model.rope_scaling = RopeScaling::kLongRope;
  model.rope_short_factor.assign(48, 1.0);
  model.rope_long_factor.assign(48, 1.118320672);
  model.original_max_position_embeddings = 4096;
  model.max_position_embeddings = 131072;
  EXPECT_EQ(parse_checkpoint_manifest(manifest_text(manifest), "m").model, model);
  const auto error_of = [&](const Phi4Config& found) {
    return message_of([&] { check_same_model(model, found, "c", "m"); });
  };
  EXPECT_EQ(error_of(model), "");
  Phi4Config other = model;
  other.sliding_window = 0;
  const std::string another = "m: expected the model of the configuration, found another:\n  ";
  EXPECT_EQ(error_of(other), another + "model.sliding_window: the configuration has 2047, c has 0");
  other = model;
  other.rope_long_factor.back() = 2;
  EXPECT_CONTAINS(error_of(other),
                  another + "model.rope_long_factor: the configuration has [1.118320672, ");
  const std::string all = error_of({});
  EXPECT_CONTAINS(all, "\n  model.partial_rotary_factor: the configuration has 0.75, c has 1\n");
  EXPECT_CONTAINS(all, "\n  model.rope_scaling: the configuration has longrope, c has none\n");
  EXPECT_CONTAINS(all, "\n  model.max_position_embeddings: the configuration has 131072, c has 0");
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

}  // namespace
}  // namespace phalanx
