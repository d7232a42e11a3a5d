#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <system_error>

#include "data/file.h"
#include "launch/command_errors.h"
#include "launch/commands/data.h"
#include "launch/data_place.h"
#include "launch/plan_json.h"
#include "launch/plan_svg.h"
#include "launch/plan_text.h"

namespace phalanx {
namespace {

/// Below that many rows a stretch's share is mostly its rounding to whole rows.
constexpr int64_t kMinRows = 32;

struct MixArguments {
  ConfigRequest request;
  std::string resume_from;
  std::string svg;
  bool json = false;
};

void print(const std::string& text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) {
    throw std::system_error(errno, std::generic_category(), "cannot write the output");
  }
}

void run_mix(const MixArguments& arguments) {
  const DataPlace place = find_data_place(arguments.request);
  const PlacedData placed = arguments.resume_from.empty()
                                ? open_newest_plan(place)
                                : open_resumed_plan(place, arguments.resume_from);
  for (const std::string& warning : placed.data.warnings) {
    std::fprintf(stderr, "%s\n", warning.c_str());
  }
  const auto& plan = placed.planned.plan;
  const auto stretches = [&](int64_t count) { return plan_curve(plan, count, kMinRows); };
  const int64_t fine = svg_stretches(plan->num_sources());
  if (arguments.json) {
    print(plan_json(*plan, stretches(fine), placed.config));
  } else {
    print(plan_text(*plan, placed.config) + "\n" + chart_text(*plan, stretches(kChartColumns)));
  }
  if (arguments.svg.empty()) return;
  commit_file(arguments.svg, plan_svg(*plan, stretches(fine), placed.config.name));
}

}  // namespace

void add_data_mix_command(CLI::App& data) {
  auto arguments = std::make_shared<MixArguments>();
  CLI::App* mix = data.add_subcommand("mix", "Show the whole plan of a run before any training");
  mix->footer(
      "Examples:\n"
      "  phalanx data mix configs/quickstart.yaml\n"
      "  phalanx data mix run.yaml stages[0].phases[1].mix.problems=0.25 --svg mix.svg\n"
      "Prints tokens, epochs and steps of each source in each phase, sources that run out, and "
      "the\n"
      "weights planned against the rows drawn: all rows are counted, without reading any. The\n"
      "sizes of all files are compared with their manifests, as training does when it starts.");
  mix->add_option("where", arguments->request.file,
                  "YAML file of a run; or a run's folder or a checkpoint's, for its newest plan")
      ->required();
  mix->add_option("overrides", arguments->request.overrides, "key=value, after the file");
  mix->add_option("--resume-from", arguments->resume_from,
                  "The plan of a run that goes on from this checkpoint with the file given");
  mix->add_option("--ranks", arguments->request.num_ranks,
                  "Also check the rules of the mesh for this many ranks")
      ->check(at_least(1));
  mix->add_option("--svg", arguments->svg, "Also draw the plan into this file");
  mix->add_flag("--json", arguments->json, "One JSON object, for scripts (see README.md)");
  mix->callback([arguments] { run_mix(*arguments); });
}

}  // namespace phalanx
