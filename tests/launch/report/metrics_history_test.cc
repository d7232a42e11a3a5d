// metrics.jsonl as a report reads it: repeated steps, torn lines, keys that are missing.
#include "launch/report/metrics_history.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <system_error>

namespace phalanx {
namespace {

class History : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "phalanx-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  MetricsHistory read(const std::string& text) {
    std::ofstream(folder_ / "metrics.jsonl") << text;
    return read_metrics_history(folder_ / "metrics.jsonl");
  }

  std::filesystem::path folder_;
};

std::string step_line(int step, int attempt, double loss) {
  return R"({"step":)" + std::to_string(step) + R"(,"attempt":)" + std::to_string(attempt) +
         R"(,"tokens":)" + std::to_string(step * 100) + R"(,"loss":)" + std::to_string(loss) +
         R"(,"sources":{"a":{"tokens":60,"total_tokens":)" + std::to_string(60 * step) +
         R"(,"loss":)" + std::to_string(loss) + "}}}\n";
}

TEST_F(History, TheLastLineOfAStepCounts) {
  const MetricsHistory history = read(step_line(1, 0, 5) + step_line(2, 0, 4) + step_line(3, 0, 3) +
                                      step_line(2, 1, 40) + step_line(3, 1, 30));
  EXPECT_EQ(history.steps, (std::vector<int64_t>{1, 2, 3}));
  EXPECT_EQ(history.loss, (std::vector<double>{5, 40, 30}));
  EXPECT_EQ(history.sources.at("a").loss, (std::vector<double>{5, 40, 30}));
  EXPECT_EQ(history.tokens_at(2), 200);
  EXPECT_EQ(history.tokens_at(99), 300);
  EXPECT_EQ(history.tokens_at(0), 0);
  ASSERT_EQ(history.events.size(), 2u);
  EXPECT_EQ(history.events[0].kind, "start");
  EXPECT_EQ(history.events[1].kind, "resume");
  EXPECT_EQ(history.events[1].step, 1);
}

TEST_F(History, EvaluationsOfRepeatedStepsCountOnce) {
  const std::string evaluated =
      R"({"step":2,"tokens":200,"loss":1,"validation":{"a":{"loss":2,"bits_per_byte":1,)"
      R"("targets":10},)"
      R"("b":{"loss":4,"bits_per_byte":3,"targets":30}}})"
      "\n";
  const MetricsHistory history =
      read(step_line(1, 0, 5) + evaluated + step_line(2, 1, 5) + evaluated);
  EXPECT_EQ(history.validation.at("a").size(), 1u);
  const std::vector<ValidationPoint> means = mean_validation(history);
  ASSERT_EQ(means.size(), 1u);
  EXPECT_DOUBLE_EQ(means[0].loss, (2 * 10 + 4 * 30) / 40.0);
  EXPECT_EQ(means[0].tokens, 200);
}

TEST_F(History, ARunThatWasKilledBeforeItsFirstSaveIsEvaluatedOnceBeforeItsFirstStep) {
  const std::string first =
      R"({"step":1,"tokens":100,"loss":5,"validation_before":{"a":{"loss":2,"targets":10}}})"
      "\n";
  const MetricsHistory history = read(first + step_line(2, 0, 4) + first + step_line(2, 1, 4));
  ASSERT_EQ(history.validation.at("a").size(), 1u);
  EXPECT_EQ(history.validation.at("a")[0].step, 0);
  EXPECT_EQ(mean_validation(history)[0].targets, 10);
}

TEST_F(History, BrokenLinesAreCountedAndTheRestIsRead) {
  const MetricsHistory history = read(step_line(1, 0, 5) + "{\"step\":2,\"lo\nnot json\n[1]\n" +
                                      step_line(3, 0, 3) + R"({"step":4,"tok)");
  EXPECT_EQ(history.steps, (std::vector<int64_t>{1, 3}));
  EXPECT_EQ(history.bad_lines, 4);
  EXPECT_EQ(history.first_bad_line, 2);
}

TEST_F(History, MissingAndOddKeysAreNoErrors) {
  const MetricsHistory history =
      read(R"({"step":1,"loss":null,"sources":[],"validation":3,"work":{"stragglers":[7]},)"
           R"("attempt":"x","saving":"yes","unknown":{}})"
           "\n" +
           step_line(2, 0, 3));
  EXPECT_EQ(history.steps.size(), 2u);
  EXPECT_TRUE(std::isnan(history.loss[0]));
  EXPECT_TRUE(std::isnan(history.sources.at("a").loss[0]));
  EXPECT_EQ(history.sources.at("a").loss[1], 3);
}

TEST_F(History, FaultsAreEvents) {
  const MetricsHistory history = read(
      R"({"step":1,"attempt":0,"tokens":1,"skipped":true,"suspicion":"spike","verdict":"real"})"
      "\n"
      R"({"step":2,"attempt":0,"tokens":2,"saving":true,"saves_failed":1})"
      "\n"
      R"({"step":3,"attempt":0,"tokens":3,"work":{"stragglers":[{"rank":3,"host":"n4"}]}})"
      "\n");
  std::vector<std::string> kinds;
  for (const RunEvent& event : history.events) kinds.push_back(event.kind);
  EXPECT_EQ(kinds,
            (std::vector<std::string>{"start", "skipped", "save", "save_failed", "straggler"}));
  EXPECT_EQ(history.events[1].text, "no update: spike, real");
  EXPECT_EQ(history.events[4].text, "rank 3 on n4 is slow");
}

TEST_F(History, StepsThatARollBackPassedOverAreLeftOut) {
  std::string text;
  for (int step = 1; step <= 4; ++step) text += step_line(step, 0, 5);
  text += R"({"step":5,"attempt":0,"tokens":500,"loss":9,"skipped":true,"rolled_back_to":2,)"
          R"("num_steps":8,"num_tokens":800})"
          "\n";
  text += step_line(6, 1, 4);
  const MetricsHistory history = read(text);
  EXPECT_EQ(history.steps, (std::vector<int64_t>{1, 2, 6}));
  const bool is_told =
      std::any_of(history.events.begin(), history.events.end(), [](const RunEvent& event) {
        return event.step == 5 && event.text == "a spike: the run goes back to step 2";
      });
  EXPECT_TRUE(is_told);
}

TEST_F(History, AMissingFileIsNamed) {
  try {
    (void)read_metrics_history(folder_ / "none.jsonl");
    FAIL();
  } catch (const std::system_error& error) {
    EXPECT_NE(std::string(error.what()).find("none.jsonl: No such file"), std::string::npos);
  }
}

}  // namespace
}  // namespace phalanx
