#include "launch/commands/pack_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <string>
#include <string_view>
#include <utility>

#include "data/shards/pack_finish.h"
#include "launch/counted.h"

namespace phalanx {
namespace {

double megabytes(int64_t bytes) { return static_cast<double>(bytes) / 1e6; }

/// In columns: the count to the right, its noun to the left.
std::string column(int64_t count, std::string_view noun, int digits) {
  return fmt::format("{:>{}} {:<{}}", count, digits, std::string(noun) + (count == 1 ? "" : "s"),
                     noun.size() + 1);
}

std::string progress_text(const PackProgress& progress, double seconds) {
  const double share = progress.total == 0 ? 1
                                           : static_cast<double>(progress.done) /
                                                 static_cast<double>(progress.total);
  const std::string left =
      share > 0 ? fmt::format(", {:.0f} s left", seconds * (1 / share - 1)) : "";
  switch (progress.stage) {
    case PackProgress::Stage::kTokenizing:
      return fmt::format("tokenizing: {:.0f} %, {}, {:.1f} MB, {:.1f} MB/s{}{}", 100 * share,
                         counted(progress.documents, "document"), megabytes(progress.text_bytes),
                         megabytes(progress.text_bytes) / seconds, left,
                         progress.rejected == 0
                             ? ""
                             : fmt::format(", {} skipped", counted(progress.rejected, "bad line")));
    case PackProgress::Stage::kPlanning:
      return fmt::format("ordering: {:.0f} % of {}", 100 * share,
                         counted(progress.total, "document"));
    case PackProgress::Stage::kWriting:
      break;
  }
  return fmt::format("writing: {:.0f} %, {} of {} tokens{}", 100 * share, progress.done,
                     progress.total, left);
}

void print_part(const DatasetManifest& manifest) {
  const auto shards = static_cast<int64_t>(manifest.shards.size());
  fmt::print("  {:<11} {} {} {:>10.1f} MB of text {:>4} shard{}\n", manifest.packing.part,
             column(manifest.num_documents(), "document", 10),
             column(manifest.num_tokens(), "token", 14), megabytes(manifest.text_bytes), shards,
             shards == 1 ? "" : "s");
}

/// The first of the bad lines go to stderr, each with its place.
void print_rejected(const PackResult& result, const std::filesystem::path& output) {
  constexpr int kShown = 5;
  const PackingRecord& packing = result.train.packing;
  if (packing.rejected_empty > 0) {
    fmt::print("  rejected    {} without text\n", column(packing.rejected_empty, "document", 10));
  }
  if (packing.rejected_bad == 0) return;
  const std::string list = (output / kRejectedName).string();
  fmt::print("  rejected    {:>10} bad line{}, listed in {}\n", packing.rejected_bad,
             packing.rejected_bad == 1 ? "" : "s", list);
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
             "it at once must be ranks of one mpirun, or members of a job array that have each a "
             "--shard of their own and do not begin or end at the same moment\n",
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
