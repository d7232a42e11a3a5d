// Where a run stands, whatever stands in its metrics.jsonl.
#include "trainer/metrics/last_step.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/trainer/checkpoint/support.h"

namespace phalanx {
namespace {

class LastStepOf : public ::testing::Test {
 protected:
  std::optional<LastStep> in(const std::string& text) {
    std::ofstream(folder_.path() / "metrics.jsonl", std::ios::binary) << text;
    return read_last_step(folder_.path() / "metrics.jsonl");
  }
  const TemporaryFolder folder_;
};

TEST_F(LastStepOf, IsThatOfTheLastWholeLine) {
  EXPECT_FALSE(read_last_step(folder_.path() / "none").has_value());
  EXPECT_FALSE(in("").has_value());
  EXPECT_FALSE(in("{\"step\":1}").has_value());  // torn: no line end
  EXPECT_EQ(in("{\"step\":1}\n").value().step, 1);
  const auto last =
      in("{\"step\":1}\n{\"step\":2,\"num_steps\":9,\"tokens\":64,\"loss\":0.5,"
         "\"phase\":\"a/b\",\"attempt\":1,\"unix_seconds\":2.5}\n{\"step\":3,\"lo");
  ASSERT_TRUE(last.has_value());
  EXPECT_EQ(last->step, 2);
  EXPECT_EQ(last->num_steps, 9);
  EXPECT_EQ(last->tokens, 64);
  EXPECT_EQ(last->num_tokens, std::nullopt);
  EXPECT_EQ(last->loss, 0.5);
  EXPECT_EQ(last->phase, "a/b");
  EXPECT_EQ(last->unix_seconds, 2.5);
}

TEST_F(LastStepOf, WhatIsNoStepIsPassedOver) {
  EXPECT_EQ(in("{\"step\":4,\"loss\":null}\n[1]\n\nnoise\n{\"step\":\"5\"}\n{\"step\":-1}\n"
               "{\"step\":18446744073709551615}\n")
                .value()
                .step,
            4);
  EXPECT_EQ(in("{\"step\":4,\"loss\":null,\"phase\":7}\n").value().loss, std::nullopt);
  EXPECT_FALSE(in("\n\n\n").has_value());
}

TEST_F(LastStepOf, IsFoundInLinesOfAnyLength) {
  const std::string filler(300'000, 'x');
  const std::string line = "{\"step\":6,\"phase\":\"" + filler + "\"}\n";
  EXPECT_EQ(in("{\"step\":5}\n" + line).value().step, 6);
  EXPECT_EQ(in("{\"step\":5}\n" + line + filler).value().step, 6);
  EXPECT_EQ(in("{\"step\":5}\n" + filler + "\n" + filler).value().step, 5);
}

}  // namespace
}  // namespace phalanx
