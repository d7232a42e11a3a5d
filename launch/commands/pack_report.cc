#include "launch/commands/pack_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <string>
#include <utility>

#include "data/shards/pack_finish.h"

namespace phalanx {
namespace {

double megabytes(int64_t bytes) { return static_cast<double>(bytes) / 1e6; }

std::string progress_text(const PackProgress& progress, double seconds) {
  const double share = progress.total == 0 ? 1
                                           : static_cast<double>(progress.done) /
                                                 static_cast<double>(progress.total);
  const std::string left =
      share > 0 ? fmt::format(", {:.0f} s left", seconds * (1 / share - 1)) : "";
  switch (progress.stage) {
    case PackProgress::Stage::kTokenizing:
      return fmt::format(
          "tokenizing: {:.0f} %, {} documents, {:.1f} MB, {:.1f} MB/s{}{}", 100 * share,
          progress.documents, megabytes(progress.text_bytes),
          megabytes(progress.text_bytes) / seconds, left,
          progress.rejected == 0 ? "" : fmt::format(", {} bad lines skipped", progress.rejected));
    case PackProgress::Stage::kPlanning:
      return fmt::format("ordering: {:.0f} % of {} documents", 100 * share, progress.total);
    case PackProgress::Stage::kWriting:
      break;
  }
  return fmt::format("writing: {:.0f} %, {} of {} tokens{}", 100 * share, progress.done,
                     progress.total, left);
}

void print_part(const DatasetManifest& manifest) {
  fmt::print("  {:<11} {:>10} documents {:>14} tokens {:>10.1f} MB of text {:>4} shard{}\n",
             manifest.packing.part, manifest.num_documents(), manifest.num_tokens(),
             megabytes(manifest.text_bytes), manifest.shards.size(),
             manifest.shards.size() == 1 ? "" : "s");
}

/// The first of the bad lines go to stderr, each with its place.
void print_rejected(const PackResult& result, const std::filesystem::path& output) {
  constexpr int kShown = 5;
  const PackingRecord& packing = result.train.packing;
  if (packing.rejected_empty > 0) {
    fmt::print("  rejected    {:>10} documents without text\n", packing.rejected_empty);
  }
  if (packing.rejected_bad == 0) return;
  const std::string list = (output / kRejectedName).string();
  fmt::print("  rejected    {:>10} bad lines, listed in {}\n", packing.rejected_bad, list);
  std::ifstream lines(list);
  std::string line;
  for (int i = 0; i < kShown && std::getline(lines, line); ++i) {
    fmt::print(stderr, "phalanx: skipped {}\n", line);
  }
}

}  // namespace

ReportProgress show_pack_progress(ProgressLine& line) {
  return [&line, stage = PackProgress::Stage::kTokenizing,
          begin = std::chrono::steady_clock::now()](const PackProgress& progress) mutable {
    const auto now = std::chrono::steady_clock::now();
    if (std::exchange(stage, progress.stage) != progress.stage) begin = now;
    const double seconds = std::chrono::duration<double>(now - begin).count();
    line.show(progress_text(progress, std::max(seconds, 1e-3)));
  };
}

void warn_without_locks(const PackJob& job, const std::filesystem::path& output) {
  if (job.has_locks()) return;
  fmt::print(stderr,
             "phalanx: warning: {}: this file system has no file locks: processes that pack into "
             "it at once must be ranks of one mpirun, or members of a job array with --shard of "
             "their own\n",
             output.string());
}

void print_pack_result(const PackJob& job, const PackResult& result,
                       const std::filesystem::path& output) {
  fmt::print("{} {} ({}) into {}\n", job.was_complete() ? "was packed already:" : "packed",
             result.train.name, dataset_kind_name(result.train.kind), output.string());
  print_part(result.train);
  if (result.validation) print_part(*result.validation);
  print_rejected(result, output);
}

}  // namespace phalanx
