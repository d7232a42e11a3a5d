#pragma once
// What `phalanx data pack` shows: progress on stderr, the result on stdout. Local.
#include <filesystem>

#include "data/shards/pack_dataset.h"
#include "launch/commands/progress_line.h"

namespace phalanx {

/// Shows the progress of one process, with the time of each stage apart. `line` must outlive it.
[[nodiscard]] ReportProgress show_pack_progress(ProgressLine& line);

/// On stderr, when nothing there keeps processes from doing the same work at once.
void warn_without_locks(const PackJob& job, const std::filesystem::path& output);

/// Counts of the parts and of what was rejected; the first bad lines go to stderr.
void print_pack_result(const PackJob& job, const PackResult& result,
                       const std::filesystem::path& output);

}  // namespace phalanx
