// The page around the data: names cannot leave their place, broken runs are shown beside others.
#include "launch/report/report_page.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace phalanx {
namespace {

namespace fs = std::filesystem;

class ReportPage : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "phalanx-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { fs::remove_all(folder_); }

  /// A run of `steps` steps without a configuration.
  fs::path run(const std::string& name, int steps) {
    const fs::path path = folder_ / name;
    fs::create_directories(path);
    std::ofstream file(path / "metrics.jsonl");
    for (int i = 1; i <= steps; ++i) {
      file << R"({"step":)" << i << R"(,"attempt":0,"tokens":)" << 512 * i << R"(,"loss":)"
           << 10.0 / i << R"(,"sources":{"web":{"tokens":512,"loss":2}},"grad_norm":1.5})"
           << "\n";
    }
    return path;
  }

  fs::path folder_;
};

/// The JSON that stands in the page.
nlohmann::json data_of(const std::string& page) {
  const std::string open = R"(<script type="application/json" id="data">)";
  const size_t begin = page.find(open) + open.size();
  return nlohmann::json::parse(page.substr(begin, page.find("</script>", begin) - begin));
}

size_t count(const std::string& text, const std::string& part) {
  size_t found = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

TEST_F(ReportPage, ANameCannotEndTheScript) {
  const std::string name = "a<!--<script>alert(1)<\\";
  ReportRequest request{{run(name, 3)}, "</script><img src=x onerror=alert(1)>", "", {}};
  const std::string page = report_page(gather_report(request));
  EXPECT_EQ(count(page, "</script>"), 2u);
  EXPECT_EQ(count(page, "<script"), 2u);
  EXPECT_EQ(page.find("<img"), std::string::npos);
  EXPECT_EQ(page.find("<!--"), std::string::npos);
  const nlohmann::json data = data_of(page);
  EXPECT_EQ(data["title"], request.title);
  EXPECT_EQ(data["runs"][0]["label"], name);
}

TEST_F(ReportPage, NothingIsLoaded) {
  const std::string page = report_page(gather_report({{run("a", 2)}, "a", "", {}}));
  EXPECT_NE(page.find("default-src 'none'"), std::string::npos);
  for (const char* part : {" src=", "@import", "url(http", "<link", "fetch(", "XMLHttpRequest"}) {
    EXPECT_EQ(page.find(part), std::string::npos) << part;
  }
  EXPECT_NE(page.find("<noscript>"), std::string::npos);
}

TEST_F(ReportPage, BrokenRunsAreShownAsSuchBesideTheRest) {
  fs::create_directories(folder_ / "empty");
  std::ofstream(folder_ / "empty" / "config.yaml") << "run: {name: [";
  const fs::path torn = run("torn", 4);
  std::ofstream(torn / "metrics.jsonl", std::ios::app) << "{\"step\": 5, \"lo\n\n{";
  const nlohmann::json data = data_of(report_page(gather_report(
      {{run("good", 5), folder_ / "empty", torn, folder_ / "gone"}, "runs", "", {}})));
  ASSERT_EQ(data["runs"].size(), 4u);
  EXPECT_EQ(data["runs"][0]["steps"], 5);
  EXPECT_EQ(data["runs"][0]["curves"]["loss"]["y"][4], 2);
  EXPECT_EQ(data["runs"][1]["status"], "broken");
  EXPECT_NE(data["runs"][1]["problems"].dump().find("config.yaml"), std::string::npos);
  EXPECT_EQ(data["runs"][2]["steps"], 4);
  EXPECT_NE(data["runs"][2]["problems"].dump().find("2 broken lines left out, the first is line 5"),
            std::string::npos)
      << data["runs"][2]["problems"];
  EXPECT_EQ(data["runs"][3]["status"], "not begun");
}

TEST_F(ReportPage, ManyLongRunsStaySmall) {
  ReportRequest request{{}, "many", "", {}};
  for (int i = 0; i < 50; ++i) request.folders.push_back(run("r" + std::to_string(i), 2000));
  const ReportData data = gather_report(request);
  EXPECT_EQ(data.groups.size(), 50u);
  const std::string page = report_page(data);
  EXPECT_LT(page.size(), size_t{10} << 20);
  EXPECT_LE(data_of(page)["runs"][49]["curves"]["loss"]["x"].size(), 1000u);
}

TEST_F(ReportPage, ABaselineMustBeThere) {
  const ReportRequest request{{run("early-seed-1", 2), run("late-seed-1", 2)}, "x", "lat", {}};
  try {
    (void)gather_report(request);
    FAIL();
  } catch (const std::invalid_argument& error) {
    EXPECT_STREQ(error.what(),
                 "baseline: expected one of early, late, found 'lat'; did you mean 'late'?");
  }
}

TEST_F(ReportPage, FoldersOfRunsAreOpened) {
  run("x/b", 1);
  run("x/a", 1);
  EXPECT_EQ(find_runs(folder_ / "x"), (std::vector<fs::path>{folder_ / "x/a", folder_ / "x/b"}));
  EXPECT_EQ(find_runs(folder_ / "x/a"), (std::vector<fs::path>{folder_ / "x/a"}));
  EXPECT_THROW((void)find_runs(folder_ / "none"), std::invalid_argument);
}

}  // namespace
}  // namespace phalanx
