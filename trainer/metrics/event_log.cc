#include "trainer/metrics/event_log.h"

#include <fmt/format.h>

#include <chrono>
#include <utility>

namespace phalanx {
namespace {

/// As a block of code in Markdown.
std::string indented(const std::string& text) {
  std::string block = "    ";
  for (const char c : text) block += c == '\n' ? std::string("\n    ") : std::string(1, c);
  return block;
}

void add_sources(const StepRecord& record, const std::vector<CurriculumSource>& sources,
                 std::vector<TaggedValue>& values) {
  const LossSums& losses = record.result.by_source;
  for (size_t s = 0; s < sources.size(); ++s) {
    const std::string& name = sources[s].name;
    if (losses.targets[s] > 0) {
      values.push_back({"train/loss_by_source/" + name, losses.nats[s] / losses.targets[s]});
    }
    values.push_back(
        {"data/weight/" + name, double(record.source_tokens[s]) / double(record.step_tokens)});
    values.push_back({"data/planned_weight/" + name, record.source_weights[s]});
    values.push_back({"data/epochs/" + name, record.source_epochs[s]});
    values.push_back({"data/tokens/" + name, double(record.source_total_tokens[s])});
  }
  for (const KindSums& sums : sums_by_kind(record, sources)) {
    if (sums.targets == 0) continue;
    values.push_back(
        {fmt::format("train/loss_by_kind/{}", name_of(sums.kind)), sums.nats / sums.targets});
  }
}

void add_speed(const StepRecord& record, std::vector<TaggedValue>& values) {
  const double speed = tokens_per_second(record);
  values.push_back({"perf/tokens_per_second", speed});
  values.push_back({"perf/flops_per_second", record.flops / record.seconds});
  if (const auto mfu = mfu_at(record, speed)) values.push_back({"perf/mfu", *mfu});
  values.push_back({"perf/step_seconds", record.seconds});
  values.push_back({"perf/data_wait_seconds", record.data_wait_seconds});
  values.push_back(
      {"perf/data_wait_share", data_wait_share(record.data_wait_seconds, record.seconds)});
  values.push_back({"memory/peak_bytes", double(record.peak_memory_bytes)});
  if (!record.work) return;
  values.push_back({"work/median_seconds", record.work->median_seconds});
  values.push_back({"work/slowest_seconds", record.work->slowest_seconds});
}

void add_validation(const ValidationResults& results, std::vector<TaggedValue>& values) {
  for (const auto& [source, result] : results) {
    values.push_back({fmt::format("validation/{}/loss", source), result.loss});
    values.push_back({fmt::format("validation/{}/bits_per_byte", source), result.bits_per_byte});
  }
}

}  // namespace

std::vector<TaggedValue> tagged_values(const StepRecord& record,
                                       const std::vector<CurriculumSource>& sources) {
  std::vector<TaggedValue> values{{"train/loss", record.result.loss},
                                  {"train/grad_norm", record.result.grad_norm},
                                  {"train/learning_rate", record.learning_rate},
                                  {"train/tokens", double(record.tokens)},
                                  {"train/skipped", record.result.updated ? 0.0 : 1.0},
                                  {"train/skipped_steps", double(record.skipped_steps)}};
  add_sources(record, sources, values);
  add_speed(record, values);
  values.push_back({"save/saving", record.saving ? 1.0 : 0.0});
  values.push_back({"save/skipped", double(record.saves.skipped)});
  values.push_back({"save/failed", double(record.saves.failed)});
  values.push_back({"save/stall_seconds", record.saves.stall_seconds});
  add_validation(record.validation, values);
  return values;
}

EventLog::EventLog(const std::filesystem::path& folder, std::vector<CurriculumSource> sources,
                   const EventLogStart& start)
    : file_((make_folders(folder), folder), start.attempt), sources_(std::move(sources)) {
  file_.begin_session(start.first_step);
  if (start.config_yaml.empty()) return;
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  file_.write_text(start.first_step, std::chrono::duration<double>(now).count(), "run/config",
                   indented(start.config_yaml));
}

void EventLog::write(const StepRecord& record) {
  if (!record.validation_before.empty()) {
    std::vector<TaggedValue> before;
    add_validation(record.validation_before, before);
    file_.write_scalars(0, record.unix_seconds, before);
  }
  if (record.phase != phase_) {
    phase_ = record.phase;
    file_.write_text(record.step, record.unix_seconds, "data/phase", phase_);
  }
  file_.write_scalars(record.step, record.unix_seconds, tagged_values(record, sources_));
}

}  // namespace phalanx
