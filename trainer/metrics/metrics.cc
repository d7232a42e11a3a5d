#include "trainer/metrics/metrics.h"

#include <nlohmann/json.hpp>
#include <span>

namespace phalanx {
namespace {

nlohmann::json validation_json(const ValidationResults& results) {
  nlohmann::json json = nlohmann::json::object();
  for (const auto& [source, result] : results) {
    json[source] = {{"loss", result.loss},
                    {"bits_per_byte", result.bits_per_byte},
                    {"targets", result.targets}};
  }
  return json;
}

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

nlohmann::ordered_json step_json(const StepRecord& record,
                                 const std::vector<std::string>& source_names) {
  nlohmann::ordered_json json;
  json["step"] = record.step;
  json["attempt"] = record.attempt;
  json["tokens"] = record.tokens;
  json["loss"] = record.result.loss;
  json["grad_norm"] = record.result.grad_norm;
  json["learning_rate"] = record.learning_rate;
  json["tokens_per_second"] = double(record.step_tokens) / record.seconds;
  json["step_seconds"] = record.seconds;
  json["data_wait_seconds"] = record.data_wait_seconds;
  json["data_wait_share"] = data_wait_share(record.data_wait_seconds, record.seconds);
  json["peak_memory_bytes"] = record.peak_memory_bytes;
  json["phase"] = record.phase;
  json["skipped"] = !record.result.updated;
  json["saving"] = record.saving;
  json["saves_skipped"] = record.saves.skipped;
  json["saves_failed"] = record.saves.failed;
  json["save_stall_seconds"] = record.saves.stall_seconds;
  const StepReview& review = record.result.review;
  if (review.suspicion != Suspicion::kNone) json["suspicion"] = name_of(review.suspicion);
  if (review.verdict != Verdict::kNone) json["verdict"] = name_of(review.verdict);
  if (record.rolled_back_to) json["rolled_back_to"] = *record.rolled_back_to;
  for (size_t s = 0; s < source_names.size(); ++s) {
    const double targets = record.result.by_source.targets[s];
    nlohmann::ordered_json source;
    source["tokens"] = record.source_tokens[s];
    source["total_tokens"] = record.source_total_tokens[s];
    source["targets"] = static_cast<int64_t>(targets);
    if (targets > 0) source["loss"] = record.result.by_source.nats[s] / targets;
    json["sources"][source_names[s]] = source;
  }
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

double data_wait_share(double wait_seconds, double step_seconds) {
  const double seconds = wait_seconds + step_seconds;
  return seconds > 0 ? wait_seconds / seconds : 0.0;
}

Metrics::Metrics(const std::filesystem::path& path, std::vector<std::string> source_names)
    : file_(File::open_append(path)), source_names_(std::move(source_names)) {
  if (ends_torn(file_)) file_.write_all(std::as_bytes(std::span("\n", 1)));
}

void Metrics::write(const StepRecord& record) {
  const std::string line = step_json(record, source_names_).dump() + "\n";
  file_.write_all(std::as_bytes(std::span(line)));
}

}  // namespace phalanx
