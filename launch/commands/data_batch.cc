#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <system_error>

#include "launch/command_errors.h"
#include "launch/commands/data.h"
#include "launch/commands/data_batch_text.h"
#include "launch/data_place.h"

namespace phalanx {
namespace {

constexpr int64_t kAll = -1;

struct BatchArguments {
  ConfigRequest request;
  int64_t step = 0;  // the first, from 1
  int64_t num_steps = 1;
  int64_t row = kAll;
  int64_t dp_size = 0;
  int64_t dp_rank = kAll;
  bool json = false;
  bool decode = false;
};

void print(const std::string& text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size()) {
    throw std::system_error(errno, std::generic_category(), "cannot write the output");
  }
}

/// The rows asked for, [first, end).
std::pair<int64_t, int64_t> chosen_rows(const BatchArguments& arguments, int64_t num_rows) {
  const int64_t size = arguments.dp_size;
  if (size > 0 && num_rows % size != 0) {
    throw std::invalid_argument(fmt::format(
        "--dp-size: expected a divisor of the step's {} rows, found {}", num_rows, size));
  }
  if (arguments.dp_rank >= std::max<int64_t>(1, size)) {
    throw std::invalid_argument(fmt::format("--dp-rank: expected 0 to {}, found {}",
                                            std::max<int64_t>(1, size) - 1, arguments.dp_rank));
  }
  if (arguments.row >= num_rows) {
    throw std::invalid_argument(
        fmt::format("--row: expected 0 to {}, found {}", num_rows - 1, arguments.row));
  }
  if (arguments.row != kAll) return {arguments.row, arguments.row + 1};
  if (arguments.dp_rank == kAll) return {0, num_rows};
  const int64_t each = num_rows / std::max<int64_t>(1, size);
  return {arguments.dp_rank * each, (arguments.dp_rank + 1) * each};
}

void print_rows(const BatchArguments& arguments, const StepHead& head, const StepRows& rows,
                const PlacedData& placed) {
  const auto [first, end] = chosen_rows(arguments, rows.num_rows());
  const auto stage = static_cast<size_t>(rows.range().stage);
  const ReplicaView view{arguments.dp_size, placed.config.stages[stage].micro_batch_size};
  print(arguments.json ? head_json(head, rows) : head_text(head, rows));
  if (!arguments.json && !arguments.decode) print(columns_text());
  for (int64_t place = first; place < end; ++place) {
    const StepRow row = rows.read(place);
    if (arguments.json) {
      print((place == first ? "" : ",\n") + row_json(row, rows, view));
    } else if (arguments.decode) {
      print(decoded_text(row, rows, *placed.data.tokenizer));
    } else {
      print(row_text(row, rows, view));
    }
  }
  if (arguments.json) print(tail_json());
  if (std::fflush(stdout) != 0) {
    throw std::system_error(errno, std::generic_category(), "cannot write the output");
  }
}

/// `number` counts from 1.
PlacedData open_step(const BatchArguments& arguments, const DataPlace& place, int64_t number) {
  PlacedData placed = open_plan_of_step(place, number - 1);
  const MixturePlan& plan = *placed.planned.plan;
  if (number <= plan.start.step || number > plan.end_step()) {
    throw std::invalid_argument(
        fmt::format("{}: expected {} to {}, found {}",
                    number == arguments.step ? "--step" : "the last of --num-steps",
                    plan.start.step + 1, plan.end_step(), number));
  }
  return placed;
}

void run_batch(const BatchArguments& arguments) {
  const DataPlace place = find_data_place(arguments.request);
  const int64_t last =
      arguments.step - 1 + std::min(arguments.num_steps, INT64_MAX - arguments.step + 1);
  // All steps are there, or nothing is shown.
  if (last > arguments.step) (void)open_step(arguments, place, last);
  for (int64_t number = arguments.step; number <= last; ++number) {
    const PlacedData placed = open_step(arguments, place, number);
    const StepRows rows(placed.planned.plan, placed.data, number - 1);
    const StepHead head{number, placed.planned.plan->end_step(),
                        was_skipped(placed.planned.cursor, rows.range().first_row)};
    print_rows(arguments, head, rows, placed);
  }
}

}  // namespace

void add_data_batch_command(CLI::App& data) {
  auto arguments = std::make_shared<BatchArguments>();
  CLI::App* batch = data.add_subcommand("batch", "Show exactly what training reads at a step");
  batch->footer(
      "Examples:\n"
      "  phalanx data batch runs/first --step 1200\n"
      "  phalanx data batch runs/first --step 1180 --num-steps 40 --json\n"
      "  phalanx data batch runs/first --step 1200 --row 3 --decode\n"
      "  phalanx data batch run.yaml --step 1 --json data.seed=7\n"
      "A configuration shows a new run. A run's folder or a checkpoint's follows its ledger: past\n"
      "steps show what was read, over resumes, changed curricula and skipped steps. Rows stand in\n"
      "the order in which replicas and micro-batches cut them up.");
  batch
      ->add_option("where", arguments->request.file,
                   "YAML file of a run, a run's folder, or a checkpoint's")
      ->required();
  batch->add_option("overrides", arguments->request.overrides,
                    "key=value, such as data.sources.web.path=elsewhere/web");
  batch
      ->add_option("--step", arguments->step,
                   "As in metrics.jsonl and the progress line: the first is 1")
      ->required()
      ->check(at_least(1));
  batch->add_option("--num-steps", arguments->num_steps, "So many steps, one after another")
      ->check(at_least(1));
  batch->add_option("--row", arguments->row, "Only this row of the step, from 0")
      ->check(at_least(0));
  CLI::Option* size = batch->add_option("--dp-size", arguments->dp_size,
                                        "Say which of so many replicas reads a row");
  size->check(at_least(1));
  batch->add_option("--dp-rank", arguments->dp_rank, "Only the rows of this replica, from 0")
      ->needs(size)
      ->check(at_least(0));
  CLI::Option* json = batch->add_flag("--json", arguments->json,
                                      "One JSON object a step, for scripts (see README.md)");
  batch->add_flag("--decode", arguments->decode, "The text of the rows")->excludes(json);
  batch->callback([arguments] { run_batch(*arguments); });
}

}  // namespace phalanx
