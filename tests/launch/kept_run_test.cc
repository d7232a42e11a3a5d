// Runs that a released phalanx saved can be resumed for ever: kept_runs/NAME holds what its program
// left, a checkpoint with the data, the tokenizer and the configuration of its run, saved by 4
// ranks (2 x 2) in the second phase, after a resume that changed the curriculum and passed over a
// step. What stands below was taken then, the sums by Python's safetensors from the files.
//
// A released sample is never made anew, nor is what is expected of it: whoever changes what a run
// keeps adds a sample beside it, and makes the program read both.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <fstream>
#include <mutex>
#include <nlohmann/json.hpp>

#include "configs/field_list.h"
#include "launch/run_start.h"
#include "tests/support/ranks.h"
#include "tests/support/test_model.h"
#include "tests/trainer/checkpoint/support.h"
#include "trainer/checkpoint/strict_json.h"
#include "trainer/trainer.h"

namespace phalanx {
namespace {

namespace fs = std::filesystem;

constexpr const char* kCheckpoint = "checkpoint";

/// Works in a copy of the sample: paths in its configuration are relative, and a resume writes.
class KeptRun : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::copy(fs::path(PHALANX_SOURCE_DIR) / "tests/launch/kept_runs/version-1", folder_.path(),
             fs::copy_options::recursive | fs::copy_options::overwrite_existing);
    fs::current_path(folder_.path());
  }
  void TearDown() override { fs::current_path(before_); }

  static ResolvedConfig config(std::vector<std::string> overrides = {}) {
    return read_run_config(
        {"run.yaml", std::move(overrides), PHALANX_SOURCE_DIR "/configs", /*num_ranks=*/0});
  }
  static nlohmann::json stored_state() {
    return parse_strict_json(CheckpointReader(kCheckpoint).state_json(), "state.json");
  }

 private:
  const fs::path before_ = fs::current_path();
  const TemporaryFolder folder_;
};

/// Of the bits of all tensors of a kind as fp32, in the order of their names.
uint64_t keyed_sum(CheckpointReader& reader, const ShareKind& kind) {
  uint64_t sum = 0;
  const std::unique_ptr<TensorSource> source = reader.source(kind);
  for (const auto& [name, shape] : source->shapes()) {
    std::vector<float> values(static_cast<size_t>(checked_numel(shape, name)));
    source->read(name, 0, values);
    for (const float value : values) {
      uint32_t bits = 0;
      std::memcpy(&bits, &value, sizeof bits);
      sum = sum * 6364136223846793005U + bits;
    }
  }
  return sum;
}

TEST_F(KeptRun, ItsTensorsAreThoseThatItsFilesHold) {
  CheckpointReader reader(kCheckpoint);
  EXPECT_NO_THROW(reader.verify());
  EXPECT_EQ(reader.manifest().step, 10);
  EXPECT_EQ(reader.manifest().tokens, 640);
  EXPECT_EQ(reader.manifest().tensors.size(), 11U);
  EXPECT_EQ(reader.manifest().tensor_parallel_size, 2);
  EXPECT_EQ(reader.manifest().data_parallel_size, 2);
  EXPECT_EQ(reader.stored_dtype(kShareKinds[0]), Dtype::kF32);
  EXPECT_EQ(reader.stored_dtype(kShareKinds[1]), Dtype::kBF16);
  const std::array<uint64_t, 3> expected{0x1c65aa32120a1b3a, 0xcb518008831f0000,
                                         0x284be91afd250000};
  for (size_t kind = 0; kind < kShareKinds.size(); ++kind) {
    EXPECT_EQ(keyed_sum(reader, kShareKinds[kind]), expected[kind]) << kShareKinds[kind].name;
  }
}

TEST_F(KeptRun, NothingOfItsStateIsLost) {
  const nlohmann::json stored = stored_state();
  const TrainState state = train_state_from_json(stored);
  const nlohmann::json again = to_json(state);
  for (const auto& [key, value] : stored.items())
    EXPECT_EQ(again.value(key, nlohmann::json()), value) << key;
  EXPECT_EQ(state.num_updates, 9) << "a step was passed over";
  ASSERT_EQ(state.cursor.segments.size(), 2U);
  EXPECT_EQ(state.cursor.segments[1].phases.size(), 2U) << "phases that have begun";
  EXPECT_EQ(state.cursor.segments[1].skipped, (std::vector<std::pair<int64_t, int64_t>>{{12, 16}}));
  EXPECT_EQ(state.cursor.row, 40);
  EXPECT_EQ(state.recent_steps.losses.size(), 8U);
  EXPECT_EQ(state.recent_steps.losses.back(), 5.125165641307831);
  EXPECT_EQ(state.masked_documents.at(0).lists.at("sums").file, "masked.txt");
  EXPECT_EQ(state.past_configs.size(), 1U);
}

TEST_F(KeptRun, ItsConfigurationIsTheOneThatItsFileStillMeans) {
  const RunStart start = open_run_start(kCheckpoint, config());
  EXPECT_EQ(start.notes, "");
  EXPECT_EQ(start.state.step, 10);
  const std::string stored = start.checkpoint->config_yaml();
  EXPECT_EQ(compare_for_resume(stored, config()), std::vector<std::string>{});
  EXPECT_EQ(compare_for_resume(start.state.past_configs.at(0), config()),
            std::vector<std::string>{});
  EXPECT_CONTAINS(message_of([] { (void)open_run_start(kCheckpoint, config({"data.seed=99"})); }),
                  "\n  data.seed: fixed for a run; the checkpoint has 1234, this configuration 99 "
                  "(command line)");
}

struct Steps {
  std::vector<double> losses, grad_norms;
};

/// Trains to the end of the run, as launch/train_run.cc does, in the folder `name`.
RunOutcome resume(Communicator& world, int tp_size, const fs::path& name,
                  const ResolvedConfig& resolved) {
  const TestMesh mesh(world, tp_size);
  RunStart start = open_run_start(kCheckpoint, resolved);
  RunData data = open_run_data(resolved.run, world.rank(), world.size());
  PlannedRun planned = plan_run(resolved.run, data, /*num_skipped=*/0, start);
  TrainerOptions options;
  options.run_folder = name;
  options.config_yaml = resolved_yaml(resolved);
  options.resumed_from = kCheckpoint;
  options.requests = [] { return Requests{}; };
  options.records.run_folder = name;
  options.records.progress.style = ProgressStyle::kNone;
  Trainer trainer(resolved.run, mesh.context, std::move(data), std::move(planned),
                  std::move(start.state), {start.checkpoint.get(), start.moments},
                  std::move(options));
  return trainer.run();
}

Steps recorded(const fs::path& run_folder) {
  Steps steps;
  std::ifstream file(run_folder / "metrics.jsonl");
  for (std::string line; std::getline(file, line);) {
    const nlohmann::json step = nlohmann::json::parse(line);
    steps.losses.push_back(step.at("loss"));
    steps.grad_norms.push_back(step.at("grad_norm"));
  }
  return steps;
}

void expect_near(const std::vector<double>& found, const std::vector<double>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) {
    EXPECT_NEAR(found[i] / expected[i], 1.0, 1e-5) << "step " << 11 + i;
  }
}

TEST_F(KeptRun, GoesOnAsItDidAtAnyMesh) {
  for (const auto& [ranks, tp_size] : {std::pair{1, 1}, {2, 2}, {2, 1}}) {
    SCOPED_TRACE(fmt::format("{} ranks, tp {}", ranks, tp_size));
    const ResolvedConfig resolved =
        config({fmt::format("parallel.tensor_parallel_size={}", tp_size)});
    const fs::path name = fmt::format("run-{}-{}", ranks, tp_size);
    fs::create_directory(name);
    std::mutex mutex;
    TrainState end;
    run_ranks(ranks, [&, tp = tp_size](Communicator& world) {
      RunOutcome outcome = resume(world, tp, name, resolved);
      const std::lock_guard lock(mutex);
      end = std::move(outcome.state);
    });
    const Steps steps = recorded(name);
    expect_near(steps.losses,
                {5.304842300713062, 4.927496809708445, 5.2818893902003765, 5.164461060212209});
    expect_near(steps.grad_norms,
                {1.8503359361372085, 1.7781945769692507, 1.5171108358985435, 1.5175323020361244});
    EXPECT_EQ(end.step, 14);
    EXPECT_EQ(end.tokens, 1024);
    EXPECT_EQ(end.num_updates, 13);
    EXPECT_EQ(CheckpointReader(name / "checkpoints" / "step-000014").manifest().step, 14);
  }
}

}  // namespace
}  // namespace phalanx
