// What a run writes down: metrics.jsonl, its state.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <stdexcept>

#include "tests/trainer/checkpoint/support.h"
#include "tests/trainer/metrics/step_sample.h"
#include "trainer/metrics/metrics.h"
#include "trainer/train_state.h"

namespace phalanx {
namespace {

std::vector<std::string> lines_of(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

using testing::kSources;
using testing::record_of;

uint64_t bits(double value) { return std::bit_cast<uint64_t>(value); }

TEST(Metrics, NumbersReadBackToTheSameBits) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "metrics.jsonl";
  const double odd[] = {0.1,
                        1.0 / 3,
                        1e-320,
                        5e-324,
                        1.7976931348623157e308,
                        12345678.900000001,
                        std::nextafter(2.0, 3.0),
                        6.02214076e23,
                        100.0};
  Metrics metrics(path, kSources);
  for (const double value : odd) {
    StepRecord record = record_of(1);
    record.result.loss = value;
    record.result.grad_norm = -value;
    record.learning_rate = value / 3;
    record.validation["web"] = {value, value / 7, 12};
    metrics.write(record);
  }
  const std::vector<std::string> lines = lines_of(path);
  ASSERT_EQ(lines.size(), std::size(odd));
  for (size_t i = 0; i < lines.size(); ++i) {
    const nlohmann::json json = nlohmann::json::parse(lines[i]);
    EXPECT_EQ(bits(json.at("loss").get<double>()), bits(odd[i])) << lines[i];
    EXPECT_EQ(bits(json.at("grad_norm").get<double>()), bits(-odd[i])) << lines[i];
    EXPECT_EQ(bits(json.at("learning_rate").get<double>()), bits(odd[i] / 3)) << lines[i];
    const nlohmann::json& web = json.at("validation").at("web");
    EXPECT_EQ(bits(web.at("bits_per_byte").get<double>()), bits(odd[i] / 7)) << lines[i];
  }
}

TEST(Metrics, ALineHasTheStepItsTotalsAndEachSource) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "metrics.jsonl";
  Metrics(path, kSources).write(record_of(3));
  const nlohmann::json json = nlohmann::json::parse(lines_of(path).at(0));
  EXPECT_EQ(json.at("step"), 3);
  EXPECT_EQ(json.at("tokens"), 3 * 4096);
  EXPECT_EQ(json.at("loss"), 4.25);
  EXPECT_EQ(json.at("grad_norm"), 1.5);
  EXPECT_EQ(json.at("learning_rate"), 3e-4);
  EXPECT_EQ(json.at("tokens_per_second"), 32768);
  EXPECT_EQ(json.at("skipped"), false);
  EXPECT_EQ(json.at("phase"), "pretrain/reasoning");
  EXPECT_EQ(json.at("num_steps"), 200);
  EXPECT_EQ(json.at("num_tokens"), 200 * 4096);
  EXPECT_EQ(json.at("unix_seconds"), 1790000000.25);
  EXPECT_EQ(json.at("skipped_steps"), 0);
  EXPECT_EQ(json.at("flops_per_second"), 4096 * 6e6 / 0.125);
  EXPECT_EQ(json.at("sources").at("books"), (nlohmann::json{{"tokens", 4096},
                                                            {"total_tokens", 12288},
                                                            {"weight", 1.0},
                                                            {"planned_weight", 0.75},
                                                            {"epochs", 0.5},
                                                            {"targets", 4},
                                                            {"loss", 2.0}}));
  EXPECT_EQ(json.at("sources").at("web"), (nlohmann::json{{"tokens", 0},
                                                          {"total_tokens", 12288},
                                                          {"weight", 0.0},
                                                          {"planned_weight", 0.25},
                                                          {"epochs", 1.25},
                                                          {"targets", 0}}));
  EXPECT_EQ(json.at("kinds").at("organic"),
            (nlohmann::json{{"tokens", 4096}, {"targets", 4}, {"loss", 2.0}}));
  EXPECT_EQ(json.at("kinds").at("synthetic"), (nlohmann::json{{"tokens", 0}, {"targets", 0}}));
  EXPECT_EQ(json.at("data_wait_seconds"), 0.0);
  EXPECT_EQ(json.at("data_wait_share"), 0.0);
  EXPECT_EQ(json.at("peak_memory_bytes"), 3 << 20);
  EXPECT_FALSE(json.contains("validation"));
  EXPECT_FALSE(json.contains("rolled_back_to"));
}

TEST(Metrics, TheLineOfASpikeSaysHowFarTheRunWentBack) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "metrics.jsonl";
  StepRecord record = record_of(9);
  record.rolled_back_to = 6;
  Metrics(path, kSources).write(record);
  EXPECT_EQ(nlohmann::json::parse(lines_of(path).at(0)).at("rolled_back_to"), 6);
}

TEST(Metrics, ATornLastLineIsClosedAndWhatCameBeforeStays) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "metrics.jsonl";
  Metrics(path, kSources).write(record_of(1));
  std::ofstream(path, std::ios::app) << R"({"step":2,"lo)";
  Metrics(path, kSources).write(record_of(2));
  Metrics(path, kSources).write(record_of(3));
  const std::vector<std::string> lines = lines_of(path);
  ASSERT_EQ(lines.size(), 4U);
  EXPECT_EQ(nlohmann::json::parse(lines[0]).at("step"), 1);
  EXPECT_EQ(lines[1], R"({"step":2,"lo)");
  EXPECT_EQ(nlohmann::json::parse(lines[2]).at("step"), 2);
  EXPECT_EQ(nlohmann::json::parse(lines[3]).at("step"), 3);
}

TEST(Metrics, ANumberThatIsNotFiniteIsNullAndTheLineStillReads) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "metrics.jsonl";
  StepRecord record = record_of(1);
  record.result.loss = std::numeric_limits<double>::quiet_NaN();
  record.result.grad_norm = std::numeric_limits<double>::infinity();
  record.result.updated = false;
  Metrics(path, kSources).write(record);
  const nlohmann::json json = nlohmann::json::parse(lines_of(path).at(0));
  EXPECT_TRUE(json.at("loss").is_null());
  EXPECT_TRUE(json.at("grad_norm").is_null());
  EXPECT_EQ(json.at("skipped"), true);
}

TrainState some_state() {
  TrainState state;
  state.step = 12;
  state.tokens = int64_t{1} << 60;
  state.num_updates = 11;
  state.attempt = 2;
  state.cursor.seed = 0xffffffffffffffffULL;
  state.cursor.row = 48;
  state.cursor.step = 12;
  LedgerSegment segment;
  segment.plan_hash = 0xfedcba9876543210ULL;
  segment.phases = {{"stages[0].phases[0]", 7}};
  state.cursor.segments = {segment};
  state.cursor.taken = {{"web", {{16, 48}}}};
  state.cursor.sources = {{"web", "xxh3:1"}};
  state.stage_first_rows = {{"pretrain", 0}, {"long", 10}};
  state.start_bits_per_byte = {{"web", 1.0 / 3}};
  return state;
}

TEST(TrainState, ReadsBackFromItsText) {
  const TrainState state = some_state();
  const TrainState found = train_state_from_json(nlohmann::json::parse(to_json(state).dump()));
  EXPECT_EQ(found.step, state.step);
  EXPECT_EQ(found.tokens, state.tokens);
  EXPECT_EQ(found.num_updates, state.num_updates);
  EXPECT_EQ(found.attempt, state.attempt);
  EXPECT_EQ(found.cursor, state.cursor);
  EXPECT_EQ(found.stage_first_rows, state.stage_first_rows);
  EXPECT_EQ(bits(found.start_bits_per_byte.at("web")), bits(1.0 / 3));
}

TEST(TrainState, AnOlderCheckpointWithFirstStepsOfStagesStillLoads) {
  TrainState state = some_state();
  nlohmann::json old = nlohmann::json::parse(to_json(state).dump());
  old.erase("stage_first_rows");
  old.erase("past_configs");
  old["stage_starts"] = {{"pretrain", 0}, {"long", 3}};
  EXPECT_TRUE(train_state_from_json(old).stage_first_rows.empty());
  state.cursor.segments.push_back(state.cursor.segments.front());
  old["cursor"] = nlohmann::json::parse(to_json(state).dump())["cursor"];
  EXPECT_EQ(
      message_of([&] { train_state_from_json(old); }),
      "state.json: expected stage_first_rows, found stage_starts of an older phalanx in a run "
      "whose "
      "curriculum was changed on a resume: finish it with that version, or fork a new run from the "
      "checkpoint");
}

TEST(TrainState, PastConfigurationsReadBackAndMayBeAbsent) {
  TrainState state = some_state();
  state.past_configs = {"", "run: {name: \"a\"}\n"};
  nlohmann::json json = nlohmann::json::parse(to_json(state).dump());
  EXPECT_EQ(train_state_from_json(json).past_configs, state.past_configs);
  json.erase("past_configs");
  EXPECT_EQ(train_state_from_json(json).past_configs, std::vector<std::string>());
}

TEST(TrainState, ListsOfMaskedDocumentsReadBackAndMayBeAbsent) {
  const MaskLists first{{"web", {"lists/web", "0123456789abcdef"}}}, none;
  TrainState state = some_state();
  state.masked_documents = with_lists({}, 0, first);
  state.masked_documents = with_lists(state.masked_documents, 5, first);
  EXPECT_EQ(state.masked_documents, (MaskHistory{{0, first}}));
  state.masked_documents = with_lists(state.masked_documents, 7, none);
  EXPECT_EQ(state.masked_documents, (MaskHistory{{0, first}, {7, none}}));
  EXPECT_EQ(find_entry(state.masked_documents, 6)->lists, first);
  EXPECT_EQ(find_entry(state.masked_documents, 7)->lists, none);
  nlohmann::json json = nlohmann::json::parse(to_json(state).dump());
  EXPECT_EQ(train_state_from_json(json).masked_documents, state.masked_documents);
  // Started again before a step was saved: the lists of the first start were never used.
  EXPECT_EQ(with_lists(state.masked_documents, 7, first), (MaskHistory{{0, first}}));
  nlohmann::json falling = json;
  falling["masked_documents"][0]["first_step"] = std::numeric_limits<int64_t>::max();
  EXPECT_CONTAINS(message_of([&] { train_state_from_json(falling); }),
                  "masked_documents[1].first_step: expected rising steps from 0");
  json["masked_documents"][0]["lists"]["web"]["xxh3"] = 3;
  EXPECT_EQ(message_of([&] { train_state_from_json(json); }),
            "state.json: masked_documents[0].lists.web.xxh3: expected a string, found number");
  json.erase("masked_documents");
  EXPECT_TRUE(train_state_from_json(json).masked_documents.empty());
  EXPECT_EQ(find_entry({}, 3), nullptr);
}

TEST(TrainState, AMeasureThatWasNotFiniteDoesNotStopAResume) {
  TrainState state = some_state();
  state.start_bits_per_byte["web"] = std::numeric_limits<double>::infinity();
  const TrainState found = train_state_from_json(nlohmann::json::parse(to_json(state).dump()));
  EXPECT_TRUE(std::isnan(found.start_bits_per_byte.at("web")));
}

TEST(TrainState, RemembersWhatSpikesAreToldFrom) {
  TrainState state = some_state();
  state.recent_steps = {{4.25, 1.0 / 3}, {0.1, 7}};
  state.roll_backs = 2;
  nlohmann::json json = nlohmann::json::parse(to_json(state).dump());
  EXPECT_EQ(train_state_from_json(json).recent_steps.losses, state.recent_steps.losses);
  EXPECT_EQ(train_state_from_json(json).recent_steps.grad_norms, state.recent_steps.grad_norms);
  EXPECT_EQ(train_state_from_json(json).roll_backs, 2);
  json.erase("recent_steps");
  json.erase("roll_backs");
  EXPECT_TRUE(train_state_from_json(json).recent_steps.losses.empty());
  EXPECT_EQ(train_state_from_json(json).roll_backs, 0);
}

TEST(TrainState, AMissingOrIllTypedFieldIsNamed) {
  const nlohmann::json good = to_json(some_state());
  for (const auto& item : good.items()) {
    nlohmann::json bad = good;
    const std::set<std::string> newer{"past_configs", "masked_documents", "recent_steps",
                                      "roll_backs"};  // older checkpoints have none
    if (!newer.contains(item.key())) {
      bad.erase(item.key());
      EXPECT_CONTAINS(message_of([&] { train_state_from_json(bad); }), item.key());
      EXPECT_THROW(train_state_from_json(bad), std::invalid_argument) << item.key();
    }
    for (const nlohmann::json& value :
         {nlohmann::json("three"), nlohmann::json(true), nlohmann::json(1.5), nlohmann::json(-1)}) {
      bad[item.key()] = value;
      EXPECT_THROW(train_state_from_json(bad), std::invalid_argument) << item.key() << value;
      EXPECT_CONTAINS(message_of([&] { train_state_from_json(bad); }), item.key());
    }
  }
  nlohmann::json bad = good;
  bad["stage_first_rows"]["long"] = "ten";
  EXPECT_EQ(message_of([&] { train_state_from_json(bad); }),
            "state.json: stage_first_rows.long: expected an integer, found string");
}

}  // namespace
}  // namespace phalanx
