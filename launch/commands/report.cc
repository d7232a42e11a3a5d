#include "launch/commands/report.h"

#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <set>

#include "data/file.h"
#include "launch/commands/progress_line.h"
#include "launch/counted.h"
#include "launch/report/report_page.h"

namespace phalanx {
namespace {

struct ReportArguments {
  std::vector<std::string> runs;
  std::string out = "report.html";
  std::string baseline, title;
};

void say_problems(const ReportData& data) {
  for (size_t i = 0; i < data.runs.size(); ++i) {
    for (const std::string& problem : data.runs[i].problems) {
      std::fprintf(stderr, "note: %s: %s\n", data.labels[i].c_str(), problem.c_str());
    }
  }
}

void write_report(const ReportArguments& arguments) {
  ReportRequest request;
  request.baseline = arguments.baseline;
  std::set<std::filesystem::path> seen;
  for (const std::string& run : arguments.runs) {
    for (const auto& folder : find_runs(run)) {
      const bool is_new = seen.insert(std::filesystem::weakly_canonical(folder)).second;
      if (is_new) request.folders.push_back(folder);  // a run counts once in its group
    }
  }
  request.title = arguments.title;
  if (request.title.empty()) {
    request.title = request.folders.size() == 1
                        ? request.folders.front().string()
                        : counted(static_cast<int64_t>(request.folders.size()), "run");
  }
  ProgressLine progress;
  progress.show(fmt::format("reading {}", request.title));
  const ReportData data = gather_report(request);
  progress.finish();
  say_problems(data);
  commit_file(arguments.out, report_page(data));
  std::printf("%s\n", arguments.out.c_str());
}

}  // namespace

void add_report_command(CLI::App& app) {
  auto arguments = std::make_shared<ReportArguments>();
  CLI::App* command = app.add_subcommand("report", "Draw runs, and compare them, as one page");
  command->footer(
      "Examples:\n"
      "  phalanx report runs/first --out first.html\n"
      "  phalanx report runs/curricula --baseline uniform --out curricula.html\n"
      "The page is one file that needs no network: open it in a browser. Runs whose names differ\n"
      "only in a seed at the end (late-seed-1, late-seed-2) are drawn as their mean with its\n"
      "spread, and compared seed by seed. A run that cannot be read whole is named, and drawn as\n"
      "far as it goes.");
  command->add_option("runs", arguments->runs, "Folders of runs, or folders that hold runs")
      ->required();
  command->add_option("--out", arguments->out, "The page")->capture_default_str();
  command->add_option("--baseline", arguments->baseline,
                      "The run or group that others are compared with; default: the first");
  command->add_option("--title", arguments->title, "What stands on top of the page");
  command->callback([arguments] { write_report(*arguments); });
}

}  // namespace phalanx
