#include "data/mixture/curriculum.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <numeric>

#include "tests/data/mixture/fake_source.h"

namespace phalanx {
namespace {

using testing::small_setup;
using testing::TestRun;

std::string error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "no error";
}

std::string error_after(const std::function<void(TestRun&)>& change) {
  TestRun setup = small_setup();
  change(setup);
  return error_of([&] { (void)make_plan(setup.curriculum(), setup.sources); });
}

TEST(Curriculum, WeightsSumToExactlyOneInFixedPointWhateverTheMix) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    const Curriculum curriculum = testing::random_setup(seed, true).curriculum();
    for (const CurriculumStage& stage : curriculum.stages) {
      for (const CurriculumPhase& phase : stage.phases) {
        EXPECT_EQ(std::accumulate(phase.weights.begin(), phase.weights.end(), int64_t{0}),
                  int64_t{1} << 32);
      }
    }
  }
}

TEST(Curriculum, EveryBadMixNamesItsFieldWhatWasExpectedAndWhatWasFound) {
  const std::vector<std::pair<std::function<void(TestRun&)>, std::string>> cases = {
      {[](TestRun& s) { s.stages[0].phases[1].mix[0].weight = 0.3; },
       "stages[0].phases[1].mix: expected weights that sum to 1 within 1e-06, found a sum of 1.1"},
      {[](TestRun& s) { s.stages[0].phases[0].mix[0].weight = 0.9; },
       "stages[0].phases[0].mix: expected weights that sum to at most 1 beside `rest` within "
       "1e-06, found a sum of 1.1"},
      {[](TestRun& s) { s.stages[0].phases[1].mix[0].weight = -0.2; },
       "stages[0].phases[1].mix.web: expected a weight from 0 to 1, found -0.2"},
      {[](TestRun& s) { s.stages[0].phases[1].mix[0].weight = std::nan(""); },
       "stages[0].phases[1].mix.web: expected a weight from 0 to 1, found nan"},
      {[](TestRun& s) { s.stages[0].phases[1].mix[0].name = "wbe"; },
       "stages[0].phases[1].mix.wbe: expected the name of a source or a group, found an unknown "
       "name"},
      {[](TestRun& s) { s.stages[0].phases[1].mix[0].name = "code"; },
       "stages[0].phases[1].mix: expected each source once, directly or through one group, found "
       "code twice"},
      {[](TestRun& s) { s.stages[0].phases[0].mix[0].weight.reset(); },
       "stages[0].phases[0].mix: expected at most one `rest`, found it at web and books"},
      {[](TestRun& s) { s.stages[0].phases[0].ramp = Ramp::kLinear; },
       "stages[0].phases[0].ramp: expected `step` in the first phase"},
      {[](TestRun& s) { s.stages[0].phases[1].ramp_tokens = 641 * 6; },
       "stages[0].phases[1].ramp_tokens: expected 1 to the phase's 3840 tokens, found 3846"},
      {[](TestRun& s) { s.data.sources[1].name = "web"; },
       "data.sources.web: expected one source of this name, found two"},
      {[](TestRun& s) { s.data.sources[1].max_epochs = 0.0; },
       "data.sources.code.max_epochs: expected more than 0 and at most 1000000, found 0"},
      {[](TestRun& s) {
         s.data.groups["all"] = {{"web", 0.5}, {"code", 0.4}};
       },
       "data.groups.all: expected shares that sum to 1 within 1e-06, found a sum of 0.9"},
      {[](TestRun& s) {
         s.data.groups["all"] = {{"wiki", 1.0}};
       },
       "data.groups.all.wiki: expected the name of a source, found an unknown name"},
      {[](TestRun& s) {
         s.data.groups["web"] = {{"code", 1.0}};
       },
       "data.groups.web: expected a name of its own"},
      {[](TestRun& s) { s.stages[0].phases[1].tokens = 0; },
       "stages[0].phases[1].tokens: expected at least 1, found 0"},
      {[](TestRun& s) { s.stages[0].global_batch_size = 0; },
       "stages[0].global_batch_size: expected 1 to"},
      {[](TestRun& s) { s.stages.clear(); }, "stages: expected at least one stage, found none"}};
  for (const auto& [change, message] : cases) {
    const std::string found = error_after(change);
    EXPECT_EQ(found.substr(0, message.size()), message);
  }
}

TEST(Curriculum, AShortageNamesEverySourceAndTheTokensItLacks) {
  const std::string message = error_after([](TestRun& s) {
    s.data.sources[0].max_epochs.reset();  // books: 40 rows, no repetition
    s.data.sources[1].max_epochs = 2.5;    // code: 90 rows
  });
  EXPECT_NE(
      message.find("data.sources.books.max_epochs: expected at most 1 (the default) epochs of "
                   "40 rows of 6 tokens, found that stages[0] needs "),
      std::string::npos)
      << message;
  TestRun setup = small_setup();
  const MixturePlan plan = make_plan(setup.curriculum(), setup.sources);
  const auto used = plan.prefix_at(static_cast<int64_t>(plan.blocks.size()));
  EXPECT_NE(message.find("needs " + std::to_string((used[0] - 40) * 6) + " tokens more"),
            std::string::npos);
  EXPECT_NE(message.find("needs " + std::to_string((used[1] - 225) * 6) + " tokens more"),
            std::string::npos);
}

TEST(Curriculum, WithoutMaxEpochsASecondEpochIsAnErrorEvenWhenOthersRenormalize) {
  EXPECT_NE(error_after([](TestRun& s) {
              s.data.on_exhausted = OnExhausted::kRenormalize;
              s.data.sources[0].max_epochs.reset();
            }).find("data.sources.books.max_epochs: expected at most 1 (the default)"),
            std::string::npos);
}

TEST(Curriculum, NothingLeftToRenormalizeIsAnError) {
  EXPECT_EQ(
      error_after([](TestRun& s) {
        s.data.on_exhausted = OnExhausted::kRenormalize;
        for (SourceConfig& source : s.data.sources) source.max_epochs = 1.0;
      })
          .substr(0,
                  std::string("data.on_exhausted: expected `renormalize` to find a source of the m")
                      .size()),
      "data.on_exhausted: expected `renormalize` to find a source of the m");
}

TEST(Curriculum, ReadingASourceAtASecondLengthNeedsLeaveAndIsCounted) {
  TestRun setup = small_setup();
  setup.stages.push_back(setup.stages[0]);
  setup.stages[1].sequence_length = 12;
  setup.stages[1].phases.resize(1);
  setup.stages[1].phases[0].mix = {{"web", 1.0}};
  for (SourceInfo& info : setup.sources)
    info.rows_by_stage.push_back((info.rows_by_stage[0] + 1) / 2);
  const std::string message = error_of([&] { (void)make_plan(setup.curriculum(), setup.sources); });
  EXPECT_EQ(
      message.substr(
          0, std::string("stages[1].allow_repeat: expected `true`, because source web was read ")
                 .size()),
      "stages[1].allow_repeat: expected `true`, because source web was read ");
  setup.stages[1].allow_repeat = true;
  EXPECT_NO_THROW((void)make_plan(setup.curriculum(), setup.sources));
}

}  // namespace
}  // namespace phalanx
