#include "trainer/metrics/metrics.h"

#include <cstdio>
#include <nlohmann/json.hpp>
#include <span>
#include <utility>

namespace phalanx {

nlohmann::json validation_json(const ValidationResults& results) {
  nlohmann::json json = nlohmann::json::object();
  for (const auto& [source, result] : results) {
    json[source] = {{"loss", result.loss},
                    {"bits_per_byte", result.bits_per_byte},
                    {"targets", result.targets}};
  }
  return json;
}

namespace {

nlohmann::ordered_json work_json(const WorkReport& work) {
  nlohmann::ordered_json json;
  json["median_seconds"] = work.median_seconds;
  json["slowest_seconds"] = work.slowest_seconds;
  json["slowest_rank"] = work.slowest_rank;
  json["stragglers"] = nlohmann::json::array();
  for (const Straggler& one : work.stragglers) {
    json["stragglers"].push_back({{"rank", one.rank}, {"host", one.host}, {"score", one.score}});
  }
  return json;
}

/// A step without valid targets of a source has no loss of it.
void add_loss(nlohmann::ordered_json& json, double nats, double targets) {
  json["targets"] = static_cast<int64_t>(targets);
  if (targets > 0) json["loss"] = nats / targets;
}

nlohmann::ordered_json sources_json(const StepRecord& record,
                                    const std::vector<CurriculumSource>& sources) {
  nlohmann::ordered_json json;
  for (size_t s = 0; s < sources.size(); ++s) {
    nlohmann::ordered_json& source = json[sources[s].name];
    source["tokens"] = record.source_tokens[s];
    source["total_tokens"] = record.source_total_tokens[s];
    source["weight"] = double(record.source_tokens[s]) / double(record.step_tokens);
    source["planned_weight"] = record.source_weights[s];
    source["epochs"] = record.source_epochs[s];
    add_loss(source, record.result.by_source.nats[s], record.result.by_source.targets[s]);
  }
  return json;
}

nlohmann::ordered_json kinds_json(const StepRecord& record,
                                  const std::vector<CurriculumSource>& sources) {
  nlohmann::ordered_json json;
  for (const KindSums& sums : sums_by_kind(record, sources)) {
    nlohmann::ordered_json& kind = json[name_of(sums.kind)];
    kind["tokens"] = sums.tokens;
    add_loss(kind, sums.nats, sums.targets);
  }
  return json;
}

/// Time and memory.
void add_speed(nlohmann::ordered_json& json, const StepRecord& record) {
  json["tokens_per_second"] = tokens_per_second(record);
  json["flops_per_second"] = record.flops / record.seconds;
  if (const auto mfu = mfu_at(record, tokens_per_second(record))) json["mfu"] = *mfu;
  json["step_seconds"] = record.seconds;
  json["data_wait_seconds"] = record.data_wait_seconds;
  json["data_wait_share"] = data_wait_share(record.data_wait_seconds, record.seconds);
  json["peak_memory_bytes"] = record.peak_memory_bytes;
}

nlohmann::ordered_json step_json(const StepRecord& record,
                                 const std::vector<CurriculumSource>& sources) {
  nlohmann::ordered_json json;
  json["step"] = record.step;
  json["num_steps"] = record.num_steps;
  json["attempt"] = record.attempt;
  json["unix_seconds"] = record.unix_seconds;
  json["tokens"] = record.tokens;
  json["num_tokens"] = record.num_tokens;
  json["loss"] = record.result.loss;
  json["grad_norm"] = record.result.grad_norm;
  json["learning_rate"] = record.learning_rate;
  add_speed(json, record);
  json["phase"] = record.phase;
  json["skipped"] = !record.result.updated;
  json["skipped_steps"] = record.skipped_steps;
  json["saving"] = record.saving;
  json["saves_skipped"] = record.saves.skipped;
  json["saves_failed"] = record.saves.failed;
  json["save_stall_seconds"] = record.saves.stall_seconds;
  const StepReview& review = record.result.review;
  if (review.suspicion != Suspicion::kNone) json["suspicion"] = name_of(review.suspicion);
  if (review.verdict != Verdict::kNone) json["verdict"] = name_of(review.verdict);
  if (record.rolled_back_to) json["rolled_back_to"] = *record.rolled_back_to;
  json["sources"] = sources_json(record, sources);
  json["kinds"] = kinds_json(record, sources);
  if (!record.validation_before.empty()) {
    json["validation_before"] = validation_json(record.validation_before);
  }
  if (record.work) json["work"] = work_json(*record.work);
  if (!record.validation.empty()) json["validation"] = validation_json(record.validation);
  return json;
}

/// Does the file end inside a line (a process that was killed)?
bool ends_torn(const File& file) {
  const int64_t size = file.size();
  if (size == 0) return false;
  std::byte last;
  file.read_exact(size - 1, std::span(&last, 1));
  return last != std::byte{'\n'};
}

}  // namespace

Metrics::Metrics(const std::filesystem::path& path, std::vector<CurriculumSource> sources,
                 MetricsEcho echo)
    : file_(File::open_append(path)), echo_(echo), sources_(std::move(sources)) {
  if (ends_torn(file_)) file_.write_all(std::as_bytes(std::span("\n", 1)));
}

void Metrics::write(const StepRecord& record) {
  const std::string line = step_json(record, sources_).dump() + "\n";
  file_.write_all(std::as_bytes(std::span(line)));
  if (echo_ == MetricsEcho::kNone) return;
  std::fputs(line.c_str(), stdout);
  std::fflush(stdout);  // whoever reads on waits for this step
}

}  // namespace phalanx
