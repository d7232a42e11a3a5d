#include "launch/model_place.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "configs/field_list.h"
#include "configs/read_config.h"
#include "data/file.h"
#include "data/tokenizer/tokenizer_file.h"
#include "launch/install_paths.h"
#include "trainer/checkpoint/hf_folder.h"
#include "trainer/checkpoint/hf_import.h"
#include "trainer/checkpoint/initial_weights.h"
#include "trainer/checkpoint/place_text.h"
#include "trainer/checkpoint/strict_json.h"
#include "trainer/train_state.h"

namespace phalanx {
namespace {

namespace fs = std::filesystem;

constexpr const char* kTokenizerFile = "tokenizer.json";
constexpr int64_t kMaxTokenizerBytes = int64_t{256} << 20;

/// The last stage that has begun; before the first step the first one.
const StageConfig& stage_of(const RunConfig& run, const TrainState& state) {
  const auto begun = [&](const StageConfig& stage) {
    return state.stage_first_rows.contains(stage.name);
  };
  const auto last = std::find_if(run.stages.rbegin(), run.stages.rend(), begun);
  return last == run.stages.rend() ? run.stages.front() : *last;
}

void describe_run(ModelPlace& place) {
  CheckpointReader& checkpoint = *place.checkpoint;
  const std::string folder = checkpoint.path().string();
  ConfigRequest request;
  request.file = folder + "/config.yaml";
  request.config_dir = find_config_dir();
  const RunConfig run = read_run_config_text(checkpoint.config_yaml(), request).run;
  const TrainState state =
      train_state_from_json(parse_strict_json(checkpoint.state_json(), folder + "/state.json"));
  const StageConfig& stage = stage_of(run, state);
  place.config.shape = checkpoint.manifest().model;
  place.config.rope_theta = stage.rope_theta;
  const bool scaled = place.config.shape.rope_scaling != RopeScaling::kNone;
  place.config.max_position_embeddings =
      scaled ? place.config.shape.max_position_embeddings : stage.sequence_length;
  place.tokenizer = run.data.tokenizer;
}

/// Settings for the tokenizer that stands alone in its folder: it ends a document as training did.
std::string tokenizer_config_text(const ModelPlace& place) {
  const std::string end(kEndOfDocument);
  const nlohmann::ordered_json text{{"tokenizer_class", "PreTrainedTokenizerFast"},
                                    {"bos_token", end},
                                    {"eos_token", end},
                                    {"model_max_length", place.config.max_position_embeddings},
                                    {"clean_up_tokenization_spaces", false}};
  return text.dump(2) + "\n";
}

/// An imported checkpoint keeps them under names of its own.
HfFiles files_beside(const fs::path& folder) {
  if (!is_checkpoint(folder)) return read_hf_files(folder);
  CheckpointReader checkpoint(folder);
  return imported_files(checkpoint);
}

/// The ids of special tokens that a model was published with go on with its tokenizer: training
/// ends documents with one of them, but a conversation may end with another. True if there are
/// such.
bool take_published_ids(const fs::path& folder, HfConfig& config) {
  HfConfig published = config;
  if (fs::exists(folder / "config.json")) {
    take_hf_token_ids(folder, published);
  } else if (is_checkpoint(folder)) {
    CheckpointReader checkpoint(folder);
    if (!checkpoint.manifest().weights_only) return false;
    published = imported_config(checkpoint);
  }
  if (published.eos_token_id.empty()) return false;
  for (const HfTokenIds& kind : kHfTokenIds) config.*kind.ids = published.*kind.ids;
  return true;
}

HfFiles files_of_tokenizer(ModelPlace& place, const std::string& path) {
  const std::unique_ptr<Tokenizer> tokenizer = load_tokenizer(path);
  const fs::path file = tokenizer_file(path);
  const fs::path folder = file.has_parent_path() ? file.parent_path() : ".";
  HfFiles files;
  if (file.extension() == ".tiktoken") {
    files[kTokenizerFile] = tokenizer_json(*tokenizer);
  } else {
    files = files_beside(folder);
    files[kTokenizerFile] = read_text(file, kMaxTokenizerBytes);
  }
  if (!take_published_ids(folder, place.config)) {
    files.erase("generation_config.json");  // its ids are those of a model that is not here
    place.config.bos_token_id = place.config.eos_token_id = {tokenizer->end_of_document()};
  }
  if (!files.contains("tokenizer_config.json")) {
    files["tokenizer_config.json"] = tokenizer_config_text(place);
  }
  check_tokenizer_fits(files, place.config.shape.vocab_size, folder.string());
  return files;
}

}  // namespace

ModelPlace open_model(const fs::path& path, const std::string& name) {
  if (!is_checkpoint(path) && !fs::exists(path / "config.json")) {
    throw std::invalid_argument(fmt::format(
        "{}: expected a Hugging Face folder or a checkpoint, found {}", name, place_text(path)));
  }
  ModelPlace place;
  if (is_checkpoint(path)) {
    place.checkpoint = std::make_unique<CheckpointReader>(path);
    place.source = place.checkpoint->source(kShareKinds[0]);
    if (place.checkpoint->manifest().weights_only) {
      place.config = imported_config(*place.checkpoint);
    } else {
      describe_run(place);
    }
  } else {
    place.config = read_hf_config(path);
    place.source = std::make_unique<HfFolder>(path, place.config.shape);
  }
  return place;
}

std::string model_section(const HfConfig& config, const std::string& path) {
  ModelConfig model;
  model.shape = config.shape;
  model.init_from = path;
  return fmt::format(
      "{}# In stages, it was trained with rope_theta: {:g} and a context of {} tokens.\n",
      model_yaml(model), config.rope_theta, config.max_position_embeddings);
}

HfFiles files_for_export(ModelPlace& place, const std::string& tokenizer) {
  if (place.checkpoint->manifest().weights_only && tokenizer.empty()) {
    return imported_files(*place.checkpoint);
  }
  const std::string& path = tokenizer.empty() ? place.tokenizer : tokenizer;
  if (!fs::exists(path)) {
    throw std::invalid_argument(fmt::format(
        "{}: expected the tokenizer at {}, found none: name it with --tokenizer",
        tokenizer.empty() ? place.checkpoint->path().string() + "/config.yaml: data.tokenizer"
                          : "--tokenizer",
        path));
  }
  return files_of_tokenizer(place, path);
}

}  // namespace phalanx
