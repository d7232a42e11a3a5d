// Hugging Face folders as people have them: the published configurations, and every way in which a
// folder can be wrong, with the message that names it.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "configs/read_config.h"
#include "model/hf_layout.h"
#include "tests/trainer/checkpoint/support.h"
#include "trainer/checkpoint/hf_config.h"
#include "trainer/checkpoint/hf_import.h"
#include "trainer/checkpoint/safetensors_writer.h"

namespace phalanx {
namespace {

using nlohmann::json;
using Path = std::filesystem::path;

const std::string kSource = PHALANX_SOURCE_DIR;

struct Published {
  const char* name;
  const char* preset;
  int64_t parameters;
  double rope_theta;
  int64_t max_position_embeddings, bos, eos, pad;
};

TEST(HfImport, PublishedConfigurationsAreThePresets) {
  for (const Published& model :
       {Published{"phi-4", "phi4-14b", 14'659'507'200, 250000, 16384, 100257, 100265, 100349},
        Published{"phi-3-mini-4k", "phi3-mini", 3'821'079'552, 10000, 4096, 1, 32000, 32000},
        Published{"phi-3-medium-4k", "phi3-medium", 13'960'238'080, 10000, 4096, 1, 32000, 32000},
        Published{"phi-4-mini", "phi4-mini", 3'836'021'760, 10000, 131072, 199999, 199999,
                  199999}}) {
    const TemporaryFolder folder;
    std::filesystem::copy_file(
        fmt::format("{}/tests/trainer/checkpoint/hf_configs/{}.json", kSource, model.name),
        folder.path() / "config.json");
    const HfConfig config = read_hf_config(folder.path());
    EXPECT_EQ(config.shape, read_preset(kSource + "/configs", model.preset)) << model.name;
    EXPECT_EQ(num_parameters(config.shape), model.parameters) << model.name;
    EXPECT_EQ(config.rope_theta, model.rope_theta) << model.name;
    EXPECT_EQ(config.max_position_embeddings, model.max_position_embeddings) << model.name;
    EXPECT_EQ(config.bos_token_id, std::vector<int64_t>{model.bos}) << model.name;
    EXPECT_EQ(config.eos_token_id, std::vector<int64_t>{model.eos}) << model.name;
    EXPECT_EQ(config.pad_token_id, std::vector<int64_t>{model.pad}) << model.name;
    EXPECT_EQ(config.dtype, "bfloat16") << model.name;
    // What an export writes reads back to the same.
    const HfConfig again = parse_hf_config(hf_config_text(config, config.dtype), "again");
    EXPECT_EQ(again.shape, config.shape) << model.name;
    EXPECT_EQ(again.rope_theta, config.rope_theta) << model.name;
    EXPECT_EQ(again.max_position_embeddings, config.max_position_embeddings) << model.name;
  }
}

json tiny_config() {
  return {{"architectures", {"Phi3ForCausalLM"}},
          {"model_type", "phi3"},
          {"vocab_size", 11},
          {"hidden_size", 8},
          {"intermediate_size", 6},
          {"num_hidden_layers", 1},
          {"num_attention_heads", 2},
          {"num_key_value_heads", 1},
          {"rope_theta", 10000.0},
          {"max_position_embeddings", 32},
          {"bos_token_id", 1},
          {"eos_token_id", {2, 3}},
          {"pad_token_id", nullptr}};
}

Phi4Config tiny_shape() { return parse_hf_config(tiny_config().dump(), "tiny").shape; }

void spill(const Path& path, const std::string& text) { std::ofstream(path) << text; }

/// A folder that imports, until a test breaks it.
class HfImportErrors : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directory(source());
    put_config(tiny_config());
    for (const HfTensor& tensor : hf_tensors(tiny_shape())) {
      tensors_.push_back({tensor.name, Dtype::kF32, tensor.shape});
    }
    put_tensors("model.safetensors", tensors_);
  }

  Path source() const { return folder_.path() / "theirs"; }
  Path target() const { return folder_.path() / "ckpt"; }
  void put_config(const json& config) { spill(source() / "config.json", config.dump()); }
  void set(const char* key, const json& value) {
    json config = tiny_config();
    config[key] = value;
    put_config(config);
  }

  /// Ones, but for `bad` at that element of model.norm.weight.
  void put_tensors(const std::string& name, const std::vector<StoredTensor>& tensors, float bad = 1,
                   int64_t element = 0) const {
    SafetensorsWriter writer(source() / name, tensors);
    for (const StoredTensor& tensor : writer.tensors()) {
      const int64_t numel = checked_numel(tensor.shape, tensor.name);
      std::vector<float> values(static_cast<size_t>(numel), 1);
      if (tensor.name == "model.norm.weight") values[static_cast<size_t>(element)] = bad;
      writer.write(std::as_bytes(std::span(values))
                       .first(static_cast<size_t>(numel * dtype_bytes(tensor.dtype))));
    }
    writer.finish();
  }

  StoredTensor& stored(const std::string& name) {
    return *std::find_if(tensors_.begin(), tensors_.end(),
                         [&](const StoredTensor& tensor) { return tensor.name == name; });
  }

  /// Two files and their index in the place of the one.
  void split() {
    std::filesystem::remove(source() / "model.safetensors");
    const std::vector<StoredTensor> first(tensors_.begin(), tensors_.begin() + 3);
    const std::vector<StoredTensor> second(tensors_.begin() + 3, tensors_.end());
    put_tensors("a.safetensors", first);
    put_tensors("b.safetensors", second);
    for (const StoredTensor& tensor : first) index_[tensor.name] = "a.safetensors";
    for (const StoredTensor& tensor : second) index_[tensor.name] = "b.safetensors";
    put_index();
  }
  void put_index() {
    spill(source() / "model.safetensors.index.json", json{{"weight_map", index_}}.dump());
  }

  /// The message, after it has been seen that nothing is left of the target.
  std::string error() const {
    const std::string message = message_of([&] { import_hf(source(), target()); });
    EXPECT_FALSE(std::filesystem::exists(target()));
    EXPECT_FALSE(std::filesystem::exists(target().string() + ".tmp"));
    const std::string place = source().string();
    const size_t at = message.find(place);
    return at == std::string::npos ? message
                                   : message.substr(0, at) + message.substr(at + place.size() + 1);
  }

  TemporaryFolder folder_;
  std::vector<StoredTensor> tensors_;
  std::map<std::string, std::string> index_;
};

TEST_F(HfImportErrors, NothingIsWrong) {
  import_hf(source(), target());
  CheckpointReader reader(target());
  reader.verify();
  EXPECT_TRUE(reader.manifest().weights_only);
  EXPECT_EQ(imported_config(reader).eos_token_id, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(source_dtypes(reader.manifest()).at("norm.weight"), Dtype::kF32);
  EXPECT_CONTAINS(
      message_of([&] { (void)reader.state_json(); }),
      "expected a checkpoint of a run, found imported weights, without optimizer state");
  EXPECT_EQ(message_of([&] { import_hf(source(), target()); }),
            target().string() + ": expected no such folder, found one");
}

TEST_F(HfImportErrors, ACheckpointReachesNoFileOutsideOfItByALink) {
  import_hf(source(), target());
  const Path file = target() / "hf.config.json";
  std::filesystem::rename(file, target() / "kept");
  std::filesystem::create_symlink("kept", file);
  EXPECT_EQ(message_of([&] { CheckpointReader(target()).verify(); }), "");
  for (const Path& link : {source() / "config.json", Path("../theirs/config.json")}) {
    std::filesystem::remove(file);
    std::filesystem::create_symlink(link, file);
    EXPECT_EQ(
        message_of([&] { CheckpointReader reader(target()); }),
        fmt::format("checkpoint {}: file hf.config.json: expected a file of the folder itself, "
                    "found a link to {}",
                    target().string(), (source() / "config.json").string()));
  }
}

TEST_F(HfImportErrors, SourceThatIsNoFolder) {
  const Path file = source() / "config.json";
  EXPECT_EQ(message_of([&] { import_hf(file, target()); }),
            file.string() +
                ": expected a Hugging Face folder, found a file of the Hugging Face folder " +
                source().string());
  EXPECT_EQ(message_of([&] { import_hf(folder_.path() / "gone", target()); }),
            (folder_.path() / "gone").string() + ": expected a Hugging Face folder, found none");
}

TEST_F(HfImportErrors, Configuration) {
  spill(source() / "config.json", "{\"vocab_size\": 11,,}");
  EXPECT_CONTAINS(error(), "config.json: not valid JSON: parse error at line 1, column 19");
  set("architectures", {"LlamaForCausalLM"});
  EXPECT_EQ(error(),
            "config.json: key architectures: expected [\"Phi3ForCausalLM\"] (phi-4, phi-4-mini, "
            "phi-3-medium and phi-3-mini), found [\"LlamaForCausalLM\"]");
  set("resid_pdrop", 0.1);
  EXPECT_EQ(error(),
            "config.json: key resid_pdrop: expected 0, since nothing is dropped in training, found "
            "0.1");
  set("resid_pdrop", 0);
  set("attention_bias", true);
  EXPECT_EQ(error(), "config.json: key attention_bias: expected false, found true");
  set("sliding_window", -1);
  EXPECT_EQ(error(), "config.json: key sliding_window: expected null or a number >= 1, found -1");
  set("rope_scaling", {{"type", "yarn"}, {"factor", 4.0}});
  EXPECT_EQ(error(), "config.json: key rope_type: expected default or longrope, found \"yarn\"");
  set("quantization_config", {{"quant_method", "fp8"}});
  EXPECT_EQ(error(),
            "config.json: key quantization_config: expected none (weights as numbers), found "
            "{\"quant_method\":\"fp8\"}");
  set("eos_token_id", {2, 11});
  EXPECT_EQ(error(),
            "config.json: key eos_token_id: expected null or ids from 0 to 10, found [2,11]");
}

TEST_F(HfImportErrors, LengthsThatContradictEachOther) {
  json config = tiny_config();
  config["original_max_position_embeddings"] = 16;
  config["rope_scaling"] = {{"type", "longrope"},
                            {"original_max_position_embeddings", 8},
                            {"short_factor", {1.0, 1.0}},
                            {"long_factor", {1.0, 2.0}}};
  put_config(config);
  EXPECT_EQ(error(),
            "config.json: key original_max_position_embeddings: expected 8, as in the scaling, "
            "found 16");
}

TEST_F(HfImportErrors, Tensors) {
  const std::string norm = "model.norm.weight";
  stored(norm).shape = {9};
  put_tensors("model.safetensors", tensors_);
  EXPECT_EQ(error(), "model.safetensors: tensor model.norm.weight: expected shape [8], found [9]");
  stored(norm) = {norm, Dtype::kI32, {8}};
  put_tensors("model.safetensors", tensors_);
  EXPECT_EQ(error(),
            "model.safetensors: tensor model.norm.weight: expected F32, BF16 or F16, found I32");
  stored(norm) = {"model.extra.weight", Dtype::kF32, {8}};
  put_tensors("model.safetensors", tensors_);
  EXPECT_CONTAINS(error(), "tensor model.norm.weight: expected shape [8], found no such tensor");
  tensors_.push_back({norm, Dtype::kF32, {8}});
  put_tensors("model.safetensors", tensors_);
  EXPECT_EQ(error(),
            "model.safetensors: tensor model.extra.weight: found shape [8], but the model has no "
            "such tensor");
}

TEST_F(HfImportErrors, HeadBesideTiedEmbeddings) {
  set("tie_word_embeddings", true);
  import_hf(source(), target());  // all ones, both
  CheckpointReader reader(target());
  EXPECT_FALSE(reader.manifest().tensors.contains("head.weight"));
  std::filesystem::remove_all(target());
  SafetensorsWriter writer(source() / "model.safetensors", tensors_);
  for (const StoredTensor& tensor : writer.tensors()) {
    std::vector<float> values(static_cast<size_t>(checked_numel(tensor.shape, tensor.name)), 1);
    if (tensor.name == "lm_head.weight") values.back() = 2;
    writer.write(std::as_bytes(std::span(values)));
  }
  writer.finish();
  EXPECT_EQ(error(),
            "model.safetensors: tensor lm_head.weight: expected model.embed_tokens.weight, as the "
            "embeddings are tied, found other values");
  stored("lm_head.weight").shape = {8, 11};
  put_tensors("model.safetensors", tensors_);
  EXPECT_CONTAINS(error(), "as the embeddings are tied, found F32 [8, 11]");
}

TEST_F(HfImportErrors, ValuesThatAreNotFinite) {
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
    put_tensors("model.safetensors", tensors_, bad, 5);
    EXPECT_EQ(error(),
              fmt::format("model.safetensors: tensor model.norm.weight: element 5: expected a "
                          "finite number, found {}",
                          bad));
  }
}

TEST_F(HfImportErrors, ElementOfAFusedTensorIsCountedInTheFile) {
  const std::string name = "model.layers.0.self_attn.qkv_proj.weight";  // [16, 8]: q 8, k 4, v 4
  SafetensorsWriter writer(source() / "model.safetensors", tensors_);
  for (const StoredTensor& tensor : writer.tensors()) {
    std::vector<float> values(static_cast<size_t>(checked_numel(tensor.shape, name)), 1);
    if (tensor.name == name) values[13 * 8 + 1] = std::nanf("");
    writer.write(std::as_bytes(std::span(values)));
  }
  writer.finish();
  EXPECT_CONTAINS(error(), name + ": element 105: expected a finite number");
}

TEST_F(HfImportErrors, ShardsAndTheirIndex) {
  split();
  import_hf(source(), target());
  std::filesystem::remove_all(target());
  const std::string index = "model.safetensors.index.json: weight_map.";
  std::filesystem::rename(source() / "b.safetensors", source() / "c.safetensors");
  EXPECT_CONTAINS(error(), ": expected the file b.safetensors in the folder, found none");
  std::filesystem::rename(source() / "c.safetensors", source() / "b.safetensors");
  index_["model.embed_tokens.weight"] = "b.safetensors";
  put_index();
  EXPECT_CONTAINS(error(), index +
                               "model.embed_tokens.weight: expected the tensor in b.safetensors, "
                               "found it in ");
  index_["model.embed_tokens.weight"] = "a.safetensors";
  index_["model.gone.weight"] = "a.safetensors";
  put_index();
  EXPECT_EQ(error(), index +
                         "model.gone.weight: expected the tensor in a.safetensors, found no "
                         "such tensor");
  index_.erase("model.gone.weight");
  index_.erase("model.norm.weight");
  put_index();
  EXPECT_CONTAINS(error(), "b.safetensors: tensor model.norm.weight: expected its name in ");
  index_["model.norm.weight"] = "../b.safetensors";
  put_index();
  EXPECT_EQ(error(), index + "model.norm.weight: expected a file name, found ../b.safetensors");
}

TEST_F(HfImportErrors, TokenizerWithMoreIdsThanTheModel) {
  json tokenizer{{"model", {{"vocab", {{"a", 0}, {"b", 10}}}}}, {"added_tokens", json::array()}};
  spill(source() / "tokenizer.json", tokenizer.dump());
  import_hf(source(), target());
  std::filesystem::remove_all(target());
  tokenizer["added_tokens"].push_back({{"id", 12}, {"content", "<|end|>"}});
  spill(source() / "tokenizer.json", tokenizer.dump());
  EXPECT_EQ(error(),
            "tokenizer.json: expected ids below the model's vocab_size 11, found ids up to 12");
  tokenizer["model"]["vocab"]["c"] = 13;
  spill(source() / "tokenizer.json", tokenizer.dump());
  EXPECT_CONTAINS(error(), "found ids up to 13");
  spill(source() / "tokenizer.json", "[");
  EXPECT_CONTAINS(error(), "tokenizer.json: not valid JSON");
}

}  // namespace
}  // namespace phalanx
