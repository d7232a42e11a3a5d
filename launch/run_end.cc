#include "launch/run_end.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <exception>
#include <nlohmann/json.hpp>
#include <span>

#include "data/file.h"

namespace phalanx {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFileName = "end.json";
constexpr int64_t kMaxBytes = int64_t{1} << 20;

}  // namespace

std::optional<RunEnd> read_run_end(const fs::path& run_folder) {
  nlohmann::json json;
  try {
    json = nlohmann::json::parse(read_text(run_folder / kFileName, kMaxBytes));
  } catch (const std::exception&) {
    return std::nullopt;
  }
  if (!json.is_object()) return std::nullopt;
  const auto code = json.find("exit_code"), reason = json.find("reason"),
             time = json.find("unix_seconds");
  if (code == json.end() || !code->is_number_integer()) return std::nullopt;
  RunEnd end{code->get<int>(), "", 0.0};
  if (reason != json.end() && reason->is_string()) end.reason = reason->get<std::string>();
  if (time != json.end() && time->is_number()) end.unix_seconds = time->get<double>();
  return end;
}

void RunEndNote::open(const fs::path& run_folder, int rank) {
  folder_ = run_folder;
  rank_ = rank;
  if (rank == 0) fs::remove(run_folder / kFileName);
}

void RunEndNote::write(ExitCode code, const std::string& reason) const noexcept {
  if (folder_.empty()) return;
  try {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    const nlohmann::ordered_json json{{"exit_code", static_cast<int>(code)},
                                      {"reason", reason},
                                      {"unix_seconds", std::chrono::duration<double>(now).count()}};
    // Several ranks may end at once: each writes a file of its own, and the last one stays.
    const fs::path own = folder_ / fmt::format("end-{}.json", rank_);
    const std::string text =
        json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
    File file = File::create(own);
    file.write_all(std::as_bytes(std::span(text)));
    file.close();
    rename_path(own, folder_ / kFileName);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "warning: the run's end is not noted: %s\n", error.what());
  }
}

void RunEndNote::write_failure(const std::exception& error) const noexcept {
  const bool all_know = dynamic_cast<const ExitError*>(&error) != nullptr;
  if (all_know && rank_ != 0) return;
  try {
    const std::string text = error_text(error);
    write(exit_code_of(error), all_know ? text : fmt::format("rank {}: {}", rank_, text));
  } catch (const std::exception&) {  // no memory for the text
    std::fprintf(stderr, "warning: the run's end is not noted: no memory\n");
  }
}

}  // namespace phalanx
