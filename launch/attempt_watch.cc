#include "launch/attempt_watch.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "trainer/checkpoint/checkpoint_folder.h"

namespace phalanx {
namespace {

namespace fs = std::filesystem;

int64_t size_of(const fs::path& path) {
  std::error_code unknown;
  const auto size = fs::file_size(path, unknown);
  return unknown ? 0 : static_cast<int64_t>(size);
}

double seconds_between(std::chrono::steady_clock::time_point from,
                       std::chrono::steady_clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

/// A field of a line that may hold anything, as a torn write can leave it. 0: no number.
double seconds_of(const nlohmann::json& line, const char* field) {
  const auto found = line.find(field);
  return found != line.end() && found->is_number() ? found->get<double>() : 0.0;
}

/// The same of a number of steps, which is a whole one.
std::optional<int64_t> count_of(const nlohmann::json& line, const char* field) {
  const auto found = line.find(field);
  const bool is_count = found != line.end() && found->is_number_unsigned() &&
                        found->get<uint64_t>() <= uint64_t{INT64_MAX};
  return is_count ? std::optional(found->get<int64_t>()) : std::nullopt;
}

}  // namespace

AttemptWatch::AttemptWatch(fs::path run_folder)
    : folder_(std::move(run_folder)), read_(size_of(folder_ / "metrics.jsonl")) {
  checkpoint_before_ = checkpoint_step();
}

void AttemptWatch::look() {
  if (size_of(folder_ / "metrics.jsonl") <= read_) return;
  std::ifstream file(folder_ / "metrics.jsonl");
  file.seekg(read_);
  for (std::string line; std::getline(file, line) && !file.eof();) {
    read_ += static_cast<int64_t>(line.size()) + 1;
    const auto json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object()) continue;
    const std::optional<int64_t> step = count_of(json, "step");
    if (!step) continue;
    steps_.add(*step, seconds_of(json, "step_seconds") + seconds_of(json, "data_wait_seconds"),
               count_of(json, "rolled_back_to"));
    last_step_ = Clock::now();
    if (!first_step_) first_step_ = last_step_;
  }
}

double AttemptWatch::seconds_to_first_step() const {
  return first_step_ ? seconds_between(start_, *first_step_) : seconds();
}

double AttemptWatch::seconds_since_last_step() const {
  return seconds_between(last_step_.value_or(start_), Clock::now());
}

double AttemptWatch::seconds() const { return seconds_between(start_, Clock::now()); }

std::optional<int64_t> AttemptWatch::checkpoint_step() const {
  if (!fs::is_directory(folder_ / "checkpoints")) return std::nullopt;
  const auto checkpoints = list_checkpoints(folder_ / "checkpoints");
  if (checkpoints.empty()) return std::nullopt;
  return checkpoints.back().step;
}

bool AttemptWatch::has_hung() const {
  std::error_code unknown;
  const auto written = fs::last_write_time(folder_ / "hangs" / "report.txt", unknown);
  return !unknown && written > start_time_;
}

}  // namespace phalanx
