// trainer/METRICS.md names every field and every tag that is written, and no other.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <sstream>

#include "tests/trainer/checkpoint/support.h"
#include "tests/trainer/metrics/step_sample.h"
#include "trainer/metrics/event_log.h"
#include "trainer/metrics/metrics.h"

namespace phalanx {
namespace {

using testing::kSources;

/// A step of which everything is there.
StepRecord full_record() {
  StepRecord record = testing::record_of(1);
  record.peak_flops = 1e12;
  record.result.by_source = {{8, 9}, {4, 3}};
  record.result.review.suspicion = Suspicion::kSpike;
  record.result.review.verdict = Verdict::kReal;
  record.rolled_back_to = 0;
  record.validation["web"] = record.validation_before["web"] = {2.5, 1.25, 12};
  record.work = WorkReport{};
  return record;
}

/// Names in backticks in the first column of the tables between two headings.
std::set<std::string> names_of(const std::string& page, const std::string& from,
                               const std::string& to) {
  const size_t begin = page.find(from), end = page.find(to, begin);
  EXPECT_NE(end, std::string::npos) << from << to;
  std::set<std::string> names;
  std::istringstream lines(page.substr(begin, end - begin));
  const std::regex name("`([^`]+)`");
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("| `")) continue;
    const std::string cell = line.substr(0, line.find(" | "));
    for (std::sregex_iterator at(cell.begin(), cell.end(), name), none; at != none; ++at) {
      names.insert((*at)[1]);
    }
  }
  return names;
}

std::set<std::string> keys_of(const nlohmann::json& json) {
  std::set<std::string> keys;
  for (const auto& [key, value] : json.items()) keys.insert(key);
  return keys;
}

std::string page() {
  std::ifstream file(PHALANX_SOURCE_DIR "/trainer/METRICS.md");
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST(MetricsPage, NamesEveryFieldAndNoOther) {
  const TemporaryFolder folder;
  Metrics(folder.path() / "metrics.jsonl", kSources).write(full_record());
  std::ifstream file(folder.path() / "metrics.jsonl");
  const nlohmann::json json = nlohmann::json::parse(file);
  EXPECT_EQ(names_of(page(), "## metrics.jsonl", "Each of `sources`"), keys_of(json));
  EXPECT_EQ(names_of(page(), "Each of `sources`", "## TensorBoard"),
            keys_of(json.at("sources").at("books")));
}

TEST(MetricsPage, NamesEveryTagAndNoOther) {
  std::set<std::string> tags{"data/phase", "run/config"};
  for (const TaggedValue& value : tagged_values(full_record(), kSources)) {
    std::string tag = std::regex_replace(value.tag, std::regex("organic|synthetic"), "KIND");
    tags.insert(std::regex_replace(tag, std::regex("books|web"), "NAME"));
  }
  EXPECT_EQ(names_of(page(), "## TensorBoard", "## The end"), tags);
}

}  // namespace
}  // namespace phalanx
