// Bad input of every kind: the whole message, with the place.
#include <gtest/gtest.h>

#include <filesystem>
#include <system_error>

#include "tests/configs/example_config.h"

namespace phalanx {
namespace {

using testing::error_of;
using testing::example_with;
using testing::example_yaml;

TEST(ReadErrors, TheExampleItselfIsFine) { EXPECT_EQ(error_of(example_yaml()), ""); }

TEST(ReadErrors, UnknownKeyHasItsPlacePathAndNearestKey) {
  EXPECT_EQ(error_of(example_with("max_epochs: 1.2", "max_epoch: 1.2")),
            "run.yaml:8:43: data.sources.web.max_epoch: unknown key; did you mean 'max_epochs'?");
}

TEST(ReadErrors, UnknownKeyThatBelongsElsewhereIsSentThere) {
  EXPECT_EQ(error_of(example_yaml() + "weight_decay: 0\n"),
            "run.yaml:23:1: weight_decay: unknown key; did you mean 'optimizer.weight_decay'?");
}

TEST(ReadErrors, UnknownKeyOfAnotherFrameworkIsTranslated) {
  EXPECT_EQ(error_of(example_with("micro_batch_size: 2", "batch_size_per_gpu: 2")),
            "run.yaml:16:5: stages[0].batch_size_per_gpu: unknown key; did you mean "
            "'micro_batch_size'?");
}

TEST(ReadErrors, ASecondLengthFieldIsRefused) {
  EXPECT_EQ(error_of(example_with("rope_theta: 10000", "total_tokens: 20M")),
            "run.yaml:14:5: stages[0].total_tokens: unknown key; a run's length is the sum of its "
            "phases' tokens");
}

TEST(ReadErrors, UnknownKeyWithoutAnythingNearListsTheKnownOnes) {
  EXPECT_EQ(error_of(example_with("dir: runs", "zzzzzz: runs")),
            "run.yaml:1:22: run.zzzzzz: unknown key; known here: name, dir, stop_after_steps, "
            "wall_clock_limit");
}

TEST(ReadErrors, MissingKeyNamesWhatIsExpected) {
  EXPECT_EQ(error_of(example_with("    sequence_length: 4096\n", "")),
            "run.yaml:12:5: stages[0].sequence_length: missing; expected a whole number of tokens "
            ">= 1 without a unit");
  EXPECT_EQ(error_of(example_with("  tokenizer: tokenizers/phi4\n", "")),
            "run.yaml:5:3: data.tokenizer: missing; expected a text");
}

TEST(ReadErrors, DoubledKeyNamesTheFirst) {
  EXPECT_EQ(error_of(example_with("beta2: 0.95", "beta1: 0.95")),
            "run.yaml:21:38: optimizer.beta1: doubled key; first at run.yaml:21:26");
  EXPECT_EQ(error_of(example_yaml() + "precision: fp32\n"),
            "run.yaml:23:1: precision: doubled key; first at run.yaml:22:1");
}

TEST(ReadErrors, IllTypedValuesSayWhatIsAccepted) {
  EXPECT_EQ(error_of(example_with("global_batch_size: 16", "global_batch_size: many")),
            "run.yaml:15:24: stages[0].global_batch_size: expected a whole number of rows >= 1 "
            "without a unit, got 'many'");
  EXPECT_EQ(error_of(example_with("global_batch_size: 16", "global_batch_size: \"16\"")),
            "run.yaml:15:24: stages[0].global_batch_size: expected a whole number of rows >= 1 "
            "without a unit, got the text \"16\"");
  EXPECT_EQ(error_of(example_with("global_batch_size: 16", "global_batch_size:")),
            "run.yaml:15:5: stages[0].global_batch_size: expected a whole number of rows >= 1 "
            "without a unit, got nothing");
  EXPECT_EQ(error_of(example_with("beta1: 0.9", "beta1: [0.9]")),
            "run.yaml:21:33: optimizer.beta1: expected a number >= 0 and < 1, got a list");
  EXPECT_EQ(error_of(example_with("beta1: 0.9", "beta1: 1.0")),
            "run.yaml:21:33: optimizer.beta1: expected a number >= 0 and < 1, got '1.0'");
  EXPECT_EQ(
      error_of(example_with("precision: bf16", "precision: bf61")),
      "run.yaml:22:12: precision: expected bf16, fp32 or fp8, got 'bf61'; did you mean 'bf16'?");
  EXPECT_EQ(error_of(example_with("parallel: {tensor_parallel_size: 1}", "parallel: 1")),
            "run.yaml:3:11: parallel: expected a section, got '1'");
  EXPECT_EQ(error_of(example_with("kind: organic", "kind: natural")),
            "run.yaml:8:34: data.sources.web.kind: expected organic or synthetic, got 'natural'");
}

TEST(ReadErrors, YesIsNoFlag) {
  EXPECT_EQ(error_of(example_with("seed: 1234", "document_mask: yes")),
            "run.yaml:5:18: data.document_mask: expected false or true, got 'yes'");
}

TEST(ReadErrors, KIsRefusedForSequenceLength) {
  EXPECT_EQ(error_of(example_with("sequence_length: 4096", "sequence_length: 4K")),
            "run.yaml:13:22: stages[0].sequence_length: expected a whole number of tokens >= 1 "
            "without a unit, got '4K'");
}

TEST(ReadErrors, WrongUnitSaysWhichAreAccepted) {
  EXPECT_EQ(error_of(example_with("tokens: 6M", "tokens: 20min")),
            "run.yaml:19:36: stages[0].phases[0].tokens: expected a count of tokens >= 1 (4096, "
            "4M, 1.5B), got '20min'");
  EXPECT_EQ(error_of(example_yaml() + "checkpoint: {interval: 8GiB}\n"),
            "run.yaml:23:24: checkpoint.interval: expected steps (200 steps), tokens (2B) or a "
            "time (20min), got '8GiB'");
}

TEST(ReadErrors, AllErrorsComeAtOnceInTheOrderOfTheFile) {
  std::string text = example_with("precision: bf16", "precision: int8");
  text.replace(text.find("seed:"), 5, "sede:");
  text.replace(text.find("sequence_length: 4096"), 21, "sequence_length: -1");
  EXPECT_EQ(error_of(text, {"optimizer.beta3=1"}),
            "run.yaml:5:3: data.sede: unknown key; did you mean 'seed'?\n"
            "run.yaml:13:22: stages[0].sequence_length: expected a whole number of tokens >= 1 "
            "without a unit, got '-1'\n"
            "run.yaml:22:12: precision: expected bf16, fp32 or fp8, got 'int8'\n"
            "command line: optimizer.beta3: unknown key; did you mean 'beta1'?");
}

TEST(ReadErrors, NoStagesOrPhasesOrSources) {
  EXPECT_EQ(error_of("run: {name: a}\nmodel: {preset: phi4-10m}\n"
                     "data: {tokenizer: t, sources: {}}\nstages: []\n"),
            "run.yaml:3:31: data.sources: expected a section with at least one entry, got none\n"
            "run.yaml:4:9: stages: expected at least one entry, got an empty list");
}

TEST(ReadErrors, AnEmptyFileNamesWhatIsMissing) {
  const std::string message = error_of("");
  EXPECT_NE(message.find("run.yaml:1:1: run.name: missing"), std::string::npos) << message;
  EXPECT_NE(message.find("run.yaml:1:1: stages: missing; expected a list"), std::string::npos);
  EXPECT_NE(message.find("run.yaml:1:1: model: expected a preset (phi3-medium, "),
            std::string::npos);
  EXPECT_EQ(message.find("model.vocab_size"), std::string::npos) << "one message is enough";
}

TEST(ReadErrors, TextThatIsNoYamlHasAPlace) {
  EXPECT_EQ(error_of("run: {name: a\n").rfind("run.yaml:2:1: not YAML: ", 0), 0u)
      << error_of("run: {name: a\n");
  EXPECT_EQ(error_of("- a\n"), error_of("- a\n"));
  EXPECT_NE(error_of("just a text").find("expected keys with values, found 'just a text'"),
            std::string::npos);
}

TEST(ReadErrors, TwoDocumentsAreRefused) {
  EXPECT_EQ(error_of(example_yaml() + "---\na: 1\n"),
            "run.yaml:1:1: expected one YAML document, got 2");
}

TEST(ReadErrors, AliasesThatMultiplyAreRefusedInsteadOfFillingTheMemory) {
  std::string text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) {
    const std::string to = "*a" + std::to_string(i - 1);
    text += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + to;
    for (int k = 1; k < 10; ++k) text += ", " + to;
    text += "]\n";
  }
  EXPECT_NE(error_of(text).find("too deeply nested or too many aliases"), std::string::npos);
}

TEST(ReadErrors, NamesWithOtherCharactersAreRefused) {
  EXPECT_EQ(error_of(example_with("web: {path", "we.b: {path")),
            "run.yaml:8:5: data.sources: expected a name (letters, digits, '_', '-'), got 'we.b'");
}

TEST(ReadErrors, AFileThatIsNotThereIsAMachineErrorWithItsPath) {
  ConfigRequest request = testing::request();
  request.file = "/nonexistent/run.yaml";
  try {
    read_run_config(request);
    FAIL();
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code(), std::errc::no_such_file_or_directory);
    EXPECT_NE(std::string(error.what()).find("/nonexistent/run.yaml"), std::string::npos);
  }
  request.file = std::filesystem::temp_directory_path().string();
  EXPECT_THROW(read_run_config(request), std::system_error);
}

/// Found by fuzzing: the library made documents of the rest for ever, in ever more memory.
TEST(ReadErrors, WhatBelongsToNoDocumentIsRefused) {
  const std::string text = ",: &a [1, 2]\nb: [*a, *a]\nrun:68\": \"\\x41\"\nt:ex\t ext\n";
  EXPECT_EQ(error_of(text), "run.yaml:1:1: expected one YAML document, got 100 or more");
}

}  // namespace
}  // namespace phalanx
