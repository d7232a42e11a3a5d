// Against the Python packages that own the formats: transformers and safetensors.
#include <gtest/gtest.h>

#include <cstring>

#include <fmt/format.h>

#include "data/file.h"
#include "tests/trainer/checkpoint/support.h"
#include "trainer/checkpoint/hf_config.h"
#include "trainer/checkpoint/hf_export.h"
#include "trainer/checkpoint/hf_folder.h"
#include "trainer/checkpoint/manifest_model.h"
#include "trainer/checkpoint/safetensors_writer.h"

namespace phalanx {
namespace {

using Path = std::filesystem::path;

int run_script(const std::string& arguments) {
  return std::system(fmt::format("{} {}/tests/trainer/checkpoint/hf_folders.py {} > /dev/null",
                                 PHALANX_PYTHON, PHALANX_SOURCE_DIR, arguments)
                         .c_str());
}

// Made once for all tests of this file.
class HfParity : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    made_ = std::make_unique<TemporaryFolder>();
    ASSERT_EQ(run_script("make " + made_->path().string()), 0);
  }
  static void TearDownTestSuite() { made_.reset(); }
  static const Path& folder() { return made_->path(); }
  static inline std::unique_ptr<TemporaryFolder> made_;
};

Phi4Config tiny(bool tied = false) {
  Phi4Config config;
  config.vocab_size = 53;
  config.hidden_size = 24;
  config.intermediate_size = 37;
  config.num_hidden_layers = 2;
  config.num_attention_heads = 6;
  config.num_key_value_heads = 2;
  config.head_dim = 4;
  config.tie_word_embeddings = tied;
  return config;
}

Phi4Config of_folder(const std::string& name) {
  Phi4Config config = tiny(name == "tied" || name == "mini");
  if (name == "window") config.sliding_window = 7;
  if (name != "mini") return config;
  config.hidden_size = 36;
  config.head_dim = 6;
  config.sliding_window = 4096;
  config.partial_rotary_factor = 0.75;
  config.rope_scaling = RopeScaling::kLongRope;
  config.rope_short_factor = {1, 1.25};
  config.rope_long_factor = {3, 3.75};
  config.original_max_position_embeddings = 16;
  config.max_position_embeddings = 64;
  return config;
}

SafetensorsHeader header_of(const File& file) {
  return read_safetensors_header(
      file.path().string(), file.size(),
      [&](int64_t offset, std::span<std::byte> bytes) { file.read_exact(offset, bytes); });
}

std::map<std::string, std::vector<float>> expected_tensors(const Path& path) {
  const File file = File::open_read(path);
  std::map<std::string, std::vector<float>> tensors;
  const SafetensorsHeader header = header_of(file);
  for (const StoredTensor& tensor : header.tensors) {
    std::vector<float>& values = tensors[tensor.name];
    values.resize(static_cast<size_t>(tensor.end - tensor.begin) / sizeof(float));
    file.read_exact(tensor.begin, std::as_writable_bytes(std::span(values)));
  }
  return tensors;
}

std::vector<ToyTensor> model_tensors(const Phi4Config& config) {
  std::vector<ToyTensor> tensors;
  for (const HfTensor& hf : hf_tensors(config)) {
    for (const LogicalTensor& part : hf.parts) {
      const bool shared = part.name.find(".k.") != std::string::npos;
      const bool columns =
          part.name.find("down") != std::string::npos || part.name.find(".o.") != std::string::npos;
      const ParamRole role = part.shape.size() == 1 ? ParamRole::kReplicated
                             : shared               ? ParamRole::kShared
                                                    : ParamRole::kSharded;
      tensors.push_back({part.name, part.shape, role, columns ? 1 : 0});
    }
  }
  return tensors;
}

TEST_F(HfParity, MastersAreTheFoldersWeightsOnEveryMesh) {
  for (const std::string name : {"whole", "sharded", "bf16", "tied", "mini", "window"}) {
    const auto expected = expected_tensors(folder() / (name + ".expected.safetensors"));
    const Phi4Config config = of_folder(name);
    for (const auto& [tp, dp] : {std::pair{1, 1}, {2, 2}, {3, 1}}) {
      std::map<std::string, int64_t> seen;
      for (int rank = 0; rank < tp * dp; ++rank) {
        const auto model = make_rank(make_mesh(rank, tp * dp, tp), model_tensors(config));
        EXPECT_EQ(load_hf_weights(folder() / name, config, model->parameters, model->shares),
                  10000);
        for (const SharePiece& piece : share_pieces(model->parameters, model->shares)) {
          const ShardSpec& spec = piece.parameter->spec;
          const float* values = model->shares[piece.bucket].master.const_data_ptr<float>();
          const SliceLayout layout = slice_layout(spec.full_shape, spec.dim, spec.stored());
          visit_runs(layout, piece.stored, [&](const phalanx::Run& run) {
            const float* ours = values + piece.offset + run.slice - piece.stored.begin;
            const float* theirs = expected.at(piece.parameter->name).data() + run.full;
            EXPECT_EQ(std::memcmp(ours, theirs, static_cast<size_t>(run.numel) * sizeof(float)), 0)
                << name << " " << piece.parameter->name;
            seen[piece.parameter->name] += run.numel;
          });
        }
      }
      for (const auto& [tensor, values] : expected) {
        EXPECT_GE(seen[tensor], static_cast<int64_t>(values.size())) << name << " " << tensor;
      }
    }
  }
}

TEST_F(HfParity, AnotherModelIsRefusedWithKeyExpectedAndFound) {
  const std::string where = (folder() / "whole" / "config.json").string();
  const auto error_of = [&](const Phi4Config& config) {
    const HfConfig found = read_hf_config(folder() / "whole");
    return message_of([&] { check_same_model(config, found.shape, "whole", where); });
  };
  EXPECT_EQ(error_of(tiny()), "");
  for (const HfSize& size : kHfSizes) {
    Phi4Config config = tiny();
    const int64_t found = config.*size.field;
    config.*size.field = 9999;
    EXPECT_CONTAINS(error_of(config),
                    fmt::format("another:\n  model.{}: the configuration has 9999, whole has {}",
                                size.key, found));
  }
  EXPECT_EQ(error_of(tiny(true)),
            where +
                ": expected the model of the configuration, found another:\n  "
                "model.tie_word_embeddings: the configuration has true, whole has false");
  EXPECT_CONTAINS(message_of([&] { (void)read_hf_config(folder() / "yarn"); }),
                  "config.json: key rope_type: expected default or longrope, found \"yarn\"");
  EXPECT_CONTAINS(message_of([&] { (void)read_hf_config(folder() / "llama"); }),
                  "config.json: key architectures: expected [\"Phi3ForCausalLM\"] "
                  "(phi-4, phi-4-mini, phi-3-medium and phi-3-mini), found [\"LlamaForCausalLM\"]");
  EXPECT_CONTAINS(message_of([&] { (void)read_hf_config(folder() / "odd"); }),
                  "config.json: model.partial_rotary_factor: expected a number > 0 and at most 1 "
                  "that leaves an even number of the 4 channels of a head, got 0.75");
  EXPECT_CONTAINS(message_of([&] { HfFolder(folder() / "tied", tiny()); }),
                  "tensor lm_head.weight: expected shape [53, 24], found no such tensor");
}

TEST_F(HfParity, PositionsAreReadAndCompared) {
  for (const std::string name : {"mini", "window"}) {
    const HfConfig found = read_hf_config(folder() / name);
    EXPECT_EQ(found.shape, of_folder(name)) << name;
    Phi4Config other = of_folder(name);
    other.sliding_window = 9;
    EXPECT_CONTAINS(message_of([&] { check_same_model(other, found.shape, name, "w"); }),
                    fmt::format("model.sliding_window: the configuration has 9, {} has {}", name,
                                found.shape.sliding_window));
  }
  Phi4Config other = of_folder("mini");
  other.rope_long_factor[1] = 2;
  EXPECT_CONTAINS(message_of([&] {
                    check_same_model(other, read_hf_config(folder() / "mini").shape, "mini", "w");
                  }),
                  "model.rope_long_factor: the configuration has [3, 2], mini has [3, 3.75]");
}

TEST_F(HfParity, TransformersLoadsWhatWeExport) {
  for (const std::string name : {"whole", "bf16", "tied", "mini", "window"}) {
    const Phi4Config config = of_folder(name);
    HfFolder source(folder() / name, config);
    const Path exported = folder() / (name + "-exported");
    const Dtype dtype = name == "bf16" ? Dtype::kBF16 : Dtype::kF32;
    export_hf(source, exported, {{config, 10000, 64}, dtype, name == "whole" ? 20000 : 1000000});
    EXPECT_EQ(run_script(fmt::format("equal {} {}", exported.string(), (folder() / name).string())),
              0)
        << name;
    EXPECT_EQ(read_hf_config(exported).shape, config);
  }
}

TEST_F(HfParity, SafetensorsPackageWritesTheSameBytes) {
  const File theirs = File::open_read(folder() / "theirs.safetensors");
  const SafetensorsHeader header = header_of(theirs);
  SafetensorsWriter writer(folder() / "ours.safetensors", header.tensors, header.metadata);
  for (const StoredTensor& tensor : writer.tensors()) {
    const StoredTensor* place = header.find(tensor.name);
    std::vector<std::byte> bytes(static_cast<size_t>(place->end - place->begin));
    theirs.read_exact(place->begin, bytes);
    writer.write(bytes);
  }
  writer.finish();
  EXPECT_EQ(run_script("safetensors " + folder().string()), 0);
}

}  // namespace
}  // namespace phalanx
