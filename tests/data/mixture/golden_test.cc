// The C++ against the vectors of tests/golden/make_mixture_golden.py, written from SEMANTICS.md
// alone.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "data/mixture/curriculum.h"
#include "data/mixture/keyed_permutation.h"
#include "data/mixture/row_schedule.h"

namespace phalanx {
namespace {

using Json = nlohmann::json;

Json read_golden(const std::string& name) {
  std::ifstream file(std::string(PHALANX_SOURCE_DIR "/tests/golden/") + name);
  return Json::parse(file);
}

std::string hex(uint64_t value) { return fmt::format("{:016x}", value); }

TEST(MixtureGolden, KeysAndPermutationsAreThoseOfTheText) {
  const Json golden = read_golden("mixture_permutation.json");
  for (const Json& key : golden.at("keys")) {
    EXPECT_EQ(hex(window_key(key.at("seed").get<uint64_t>(), key.at("source").get<std::string>(),
                             key.at("epoch").get<uint64_t>())),
              key.at("key"));
  }
  for (const Json& key : golden.at("step_keys")) {
    EXPECT_EQ(hex(step_key(key.at("seed").get<uint64_t>(), key.at("row").get<int64_t>())),
              key.at("key"));
  }
  for (const Json& item : golden.at("permutations")) {
    const auto size = item.at("size").get<int64_t>();
    const KeyedPermutation permutation(size,
                                       std::stoull(item.at("key").get<std::string>(), nullptr, 16));
    for (size_t i = 0; i < item.at("at").size(); ++i) {
      EXPECT_EQ(permutation(item.at("at")[i].get<int64_t>()), item.at("to")[i].get<int64_t>())
          << size;
    }
  }
}

PhaseConfig read_phase(const Json& json) {
  PhaseConfig phase;
  phase.name = json.at("name");
  phase.tokens = json.at("tokens");
  for (const Json& entry : json.at("mix")) {
    MixEntry read{entry.at("name"), std::nullopt};
    if (!entry.at("weight").is_null()) read.weight = entry.at("weight").get<double>();
    phase.mix.push_back(read);
  }
  if (json.value("ramp", "step") == "linear") phase.ramp = Ramp::kLinear;
  if (json.contains("ramp_tokens")) phase.ramp_tokens = json.at("ramp_tokens").get<int64_t>();
  return phase;
}

std::vector<StageRows> read_stages(const Json& config) {
  std::vector<StageRows> stages;
  for (const Json& json : config.at("stages")) {
    StageRows stage;
    stage.name = json.at("name");
    stage.sequence_length = json.at("sequence_length");
    stage.global_batch_size = json.at("global_batch_size");
    stage.allow_repeat = json.value("allow_repeat", false);
    for (const Json& entry : json.value("batch_ramp", Json::array())) {
      stage.batch_ramp.push_back({entry.at("from_tokens"), entry.at("global_batch_size")});
    }
    for (const Json& phase : json.at("phases")) stage.phases.push_back(read_phase(phase));
    stages.push_back(stage);
  }
  return stages;
}

MixturePlan read_plan(const Json& config) {
  DataConfig data;
  data.seed = config.at("seed");
  data.groups = config.at("groups").get<std::map<std::string, std::map<std::string, double>>>();
  if (config.at("on_exhausted") == "renormalize") data.on_exhausted = OnExhausted::kRenormalize;
  std::vector<SourceInfo> sources;
  for (const Json& json : config.at("sources")) {
    SourceConfig source;
    source.name = json.at("name");
    if (json.contains("max_epochs")) source.max_epochs = json.at("max_epochs").get<double>();
    data.sources.push_back(source);
    sources.push_back({source.name, "", json.at("rows").get<std::vector<int64_t>>()});
    sources.back().shuffle_window = json.value("shuffle_window", int64_t{0});
    if (json.contains("shard_rows")) {
      sources.back().shard_rows_by_stage =
          json.at("shard_rows").get<std::vector<std::vector<int64_t>>>();
    }
  }
  PlanStart start;
  if (config.contains("start")) {
    start.row = config.at("start").at("row");
    for (const auto& source : config.at("start").at("taken").items()) {
      for (const auto& stream : source.value().items()) {
        start.taken[source.key()][std::stoll(stream.key())] = stream.value().get<int64_t>();
      }
    }
  }
  return make_plan(resolve_curriculum(data, read_stages(config)), sources, start);
}

void expect_block(const MixturePlan& plan, const Json& wanted) {
  const int64_t block = plan.find_block(wanted.at("first_row").get<int64_t>());
  EXPECT_EQ(plan.blocks[static_cast<size_t>(block)].first_row,
            wanted.at("first_row").get<int64_t>());
  EXPECT_EQ(plan.blocks[static_cast<size_t>(block)].num_rows, wanted.at("rows").get<int32_t>());
  for (size_t k = 0; k < plan.num_sources(); ++k) {
    EXPECT_EQ(plan.rows_in_block(block, k), wanted.at("counts")[k].get<int64_t>())
        << "row " << wanted.at("first_row") << ", source " << plan.sources[k].name;
  }
}

void expect_step(RowSchedule& schedule, const Json& wanted) {
  const std::vector<RowDraw> rows = schedule.step(wanted.at("step").get<int64_t>());
  ASSERT_EQ(rows.size(), wanted.at("rows").size());
  for (size_t q = 0; q < rows.size(); ++q) {
    const Json found = {schedule.plan().sources[static_cast<size_t>(rows[q].source)].name,
                        rows[q].draw, rows[q].window};
    EXPECT_EQ(found, wanted.at("rows")[q]) << "step " << wanted.at("step") << ", position " << q;
  }
}

TEST(MixtureGolden, PlansDrawsAndStepsAreThoseOfTheText) {
  for (const Json& golden : read_golden("mixture_plan.json")) {
    SCOPED_TRACE(golden.at("name").get<std::string>());
    auto plan = std::make_shared<const MixturePlan>(read_plan(golden.at("config")));
    EXPECT_EQ(plan->blocks.size(), golden.at("num_blocks").get<size_t>());
    EXPECT_EQ(plan->end_step(), golden.at("num_steps").get<int64_t>());
    EXPECT_EQ(plan->end_row(), golden.at("end_row").get<int64_t>());
    for (const Json& block : golden.at("blocks")) expect_block(*plan, block);
    EXPECT_EQ(hex(plan->hash), golden.at("plan_hash"));
    RowSchedule schedule(plan);
    for (const Json& step : golden.at("steps")) expect_step(schedule, step);
  }
}

}  // namespace
}  // namespace phalanx
