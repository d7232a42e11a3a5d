#pragma once
// From text to a data set: reads documents, holds some out, shuffles, tokenizes, writes shards.
//
// An external sort: units of input files become sorted runs (encode_units), one pass over the runs
// cuts the shards (plan_shards), then each shard is merged from the runs (write_shards). All is
// kept in OUTPUT.tmp (pack_work.h) and OUTPUT appears at once, by the commit protocol of
// data/file.h. FORMAT.md says what is in it. The bytes depend on the documents, the paths, the
// tokenizer and the options, never on the number of threads, processes or attempts, nor on the
// memory.
//
// Local: processes that share the work meet on the disk only, each with a JobShare of its own; who
// runs them may put barriers between the phases, or have them come back when the others are done.
// Threads: one owner; `report` is called from the caller's thread. Memory: options.memory_bytes,
// the longest documents, four bytes for each document of the shards being written, and some MiB a
// thread. Errors: std::invalid_argument (input, options), std::system_error (machine). What was
// finished stays in OUTPUT.tmp, and the next attempt goes on from there.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/shards/dataset_manifest.h"
#include "data/shards/pack_options.h"
#include "data/shards/pack_plan.h"
#include "data/shards/pack_work.h"

namespace phalanx {

struct PackResult {
  DatasetManifest train;
  std::optional<DatasetManifest> validation;
};

class PackJob {
 public:
  /// Begins the job or goes on with it.
  PackJob(const PackOptions& options, const PackTokenizer& tokenizer, ReportProgress report);

  /// OUTPUT was there: an earlier attempt or another process finished the job, and the calls below
  /// do nothing but tell its result.
  bool was_complete() const { return !plan_.has_value(); }
  /// False: no two processes that are not in one session may hold the same share.
  bool has_locks() const { return work_.has_locks(); }

  /// All of the share that is not done and that no other process has in hand.
  void encode_units(const JobShare& share);
  int64_t units_left() const;

  /// Once no unit is left. A second call, here or elsewhere, changes nothing.
  void plan_shards();

  void write_shards(const JobShare& share);
  int64_t shards_left() const;

  /// Once no shard is left. Any process may, and several at once.
  PackResult finish();

 private:
  bool has_work() const { return plan_ && !plan_->packed; }
  int64_t bad_lines_before(size_t unit);
  PackResult result() const;

  PackOptions options_;
  PackTokenizer tokenizer_;
  ReportProgress report_;
  PackWork work_;
  std::optional<PackPlan> plan_;
  std::vector<std::optional<int64_t>> bad_lines_;  // of units known to be done
};

/// The whole job in this process.
PackResult pack_dataset(const PackOptions& options, const PackTokenizer& tokenizer,
                        const ReportProgress& report);

}  // namespace phalanx
