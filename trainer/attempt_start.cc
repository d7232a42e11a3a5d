#include "trainer/attempt_start.h"

#include <nlohmann/json.hpp>

#include "data/file.h"
#include "trainer/checkpoint/strict_json.h"

namespace phalanx {
namespace {

constexpr const char* kFileName = "start.json";
constexpr int64_t kMaxBytes = int64_t{64} << 20;

}  // namespace

void save_attempt_start(const std::filesystem::path& run_folder, const AttemptStart& start) {
  const nlohmann::json json{{"config", start.config_yaml}, {"state", to_json(start.state)}};
  commit_file(run_folder / kFileName, json.dump(1) + "\n");
}

std::optional<AttemptStart> load_attempt_start(const std::filesystem::path& run_folder) {
  const std::filesystem::path path = run_folder / kFileName;
  if (!std::filesystem::exists(path)) return std::nullopt;
  const std::string where = path.string();
  const nlohmann::json json = parse_strict_json(read_text(path, kMaxBytes), where);
  return AttemptStart{text(member(json, "config", where), where + ": config"),
                      train_state_from_json(member(json, "state", where))};
}

std::vector<std::string> past_configs_for(const TrainState& state, const std::string& config_yaml,
                                          size_t num_segments) {
  std::vector<std::string> configs = state.past_configs;
  if (!state.cursor.segments.empty()) {
    configs.resize(state.cursor.segments.size() - 1);
    configs.push_back(config_yaml);
  }
  configs.resize(num_segments - 1);
  return configs;
}

}  // namespace phalanx
