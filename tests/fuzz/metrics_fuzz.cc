// metrics.jsonl of an earlier start, by each of its readers: whatever stands there, the next
// attempt follows the last whole line that has one, and a torn tail changes nothing; nor does it
// change where the run stands, or what a report draws. What a watch sees is the same however often
// it looks, and what a report draws reads back from the lines that say it.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "launch/attempt_watch.h"
#include "launch/report/metrics_history.h"
#include "tests/fuzz/fuzz.h"
#include "trainer/checkpoint/checkpoint_folder.h"
#include "trainer/metrics/attempts.h"
#include "trainer/metrics/last_step.h"

namespace phalanx {

// A watch asks for these too. Their source needs LibTorch, and the folder here has none.
std::vector<CheckpointEntry> list_checkpoints(const std::filesystem::path&) { return {}; }

namespace fuzz {
namespace {

using Column = std::vector<double>;

constexpr size_t kMaxValues = 4096;  // that are written: sources times steps

std::filesystem::path metrics_file() { return folder() / "metrics.jsonl"; }

int64_t attempt_after(std::string_view text) {
  spill(metrics_file(), text);
  return next_attempt(metrics_file());
}

int64_t step_after(std::string_view text) {
  spill(metrics_file(), text);
  const auto last = read_last_step(metrics_file());
  return last ? last->step : -1;
}

MetricsHistory history_of(std::string_view text) {
  spill(metrics_file(), text);
  return read_metrics_history(metrics_file());
}

/// The file grows by the end of `text` between two looks.
AttemptSteps seen_in(std::string_view text, size_t first_look) {
  spill(metrics_file(), "");
  AttemptWatch watch(folder());
  for (const size_t size : {first_look, text.size()}) {
    spill(metrics_file(), text.substr(0, size));
    watch.look();
  }
  return watch.steps();
}

/// A value that is not finite is null in a line.
bool same(const Column& a, const Column& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](double x, double y) {
    return x == y || (!std::isfinite(x) && !std::isfinite(y));
  });
}

bool same(const MetricsHistory& a, const MetricsHistory& b) {
  const auto same_source = [](const auto& x, const auto& y) {
    return x.first == y.first && same(x.second.loss, y.second.loss) &&
           same(x.second.tokens, y.second.tokens) &&
           same(x.second.total_tokens, y.second.total_tokens);
  };
  return a.steps == b.steps && same(a.tokens, b.tokens) && same(a.loss, b.loss) &&
         same(a.grad_norm, b.grad_norm) && same(a.learning_rate, b.learning_rate) &&
         same(a.tokens_per_second, b.tokens_per_second) && same(a.seconds, b.seconds) &&
         std::equal(a.sources.begin(), a.sources.end(), b.sources.begin(), b.sources.end(),
                    same_source) &&
         a.num_steps == b.num_steps && a.num_tokens == b.num_tokens;
}

/// Lines of a run that did each of the steps once.
std::string lines_of(const MetricsHistory& history) {
  std::string text;
  for (size_t i = 0; i < history.steps.size(); ++i) {
    nlohmann::json line{{"step", history.steps[i]},
                        {"tokens", history.tokens[i]},
                        {"loss", history.loss[i]},
                        {"grad_norm", history.grad_norm[i]},
                        {"learning_rate", history.learning_rate[i]},
                        {"tokens_per_second", history.tokens_per_second[i]},
                        {"step_seconds", history.seconds[i]},
                        {"data_wait_seconds", 0},
                        {"num_steps", history.num_steps},
                        {"num_tokens", history.num_tokens}};
    for (const auto& [name, source] : history.sources) {
      line["sources"][name] = {{"loss", source.loss[i]},
                               {"tokens", source.tokens[i]},
                               {"total_tokens", source.total_tokens[i]}};
    }
    text += line.dump() + "\n";
  }
  return text;
}

template <typename Items, typename Step>
bool rises(const Items& items, const Step& step_of) {
  return std::adjacent_find(items.begin(), items.end(), [&](const auto& a, const auto& b) {
           return step_of(a) >= step_of(b);
         }) == items.end();
}

void check_history(const MetricsHistory& history) {
  const size_t count = history.steps.size();
  require(rises(history.steps, [](int64_t step) { return step; }), "steps rise");
  require(history.empty() || history.steps.front() > 0, "steps are counted from 1");
  for (const Column* column :
       {&history.tokens, &history.loss, &history.grad_norm, &history.learning_rate,
        &history.tokens_per_second, &history.seconds}) {
    require(column->size() == count, "every step has every value");
  }
  for (const auto& [name, source] : history.sources) {
    require(source.loss.size() == count && source.tokens.size() == count &&
                source.total_tokens.size() == count,
            "every step has every source");
  }
  const auto step_of = [](const auto& point) { return point.step; };
  for (const auto& [name, points] : history.validation) {
    require(rises(points, step_of), "a source is evaluated once at a step");
  }
  require(rises(mean_validation(history), step_of), "so are all of them");
  require(history.bad_lines <= history.lines && history.first_bad_line <= history.lines &&
              (history.bad_lines == 0) == (history.first_bad_line == 0),
          "bad lines are lines");
}

void check_report(std::string_view input, const std::string& ours) {
  const MetricsHistory history = history_of(input);
  check_history(history);
  if (!history.empty() && history.steps.size() * history.sources.size() <= kMaxValues) {
    require(same(history_of(lines_of(history)), history), "what is written reads back");
  }
  const MetricsHistory whole = history_of(ours), torn = history_of(ours + "{\"step\":2");
  require(whole.steps == std::vector<int64_t>{1}, "a step that is done again ends the others");
  require(same(whole, torn) && torn.bad_lines == whole.bad_lines + 1, "a torn line is none");
}

void check_watch(std::string_view input) {
  const AttemptSteps once = seen_in(input, 0), twice = seen_in(input, input.size() / 2);
  require(once.kept() == twice.kept() && once.passed_over() == twice.passed_over(),
          "a line is seen once, however often a watch looks");
  const auto last = read_last_step(metrics_file());
  require(once.empty() == !last, "a watch sees the steps of a run");
  if (!last) return;
  require(once.first() >= 0 && once.last() >= last->step, "and its last one");
}

void check(std::string_view input) {
  require(attempt_after(input) >= 0, "attempts are counted from 0");
  const std::string ours = std::string(input) + "\n{\"step\":1,\"attempt\":41}\n";
  require(attempt_after(ours) == 42, "the last line counts");
  require(attempt_after(ours + "{\"step\":2,\"attempt\":9") == 42, "a torn line is none");
  require(step_after(input) >= -1, "steps are counted from 0");
  require(step_after(ours + "{\"step\":2") == 1, "the last whole line is where the run stands");
  check_report(input, ours);
  check_watch(input);
}

}  // namespace
}  // namespace fuzz
}  // namespace phalanx

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  phalanx::fuzz::check(phalanx::fuzz::text_of(data, size));
  return 0;
}
