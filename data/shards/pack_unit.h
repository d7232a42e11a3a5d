#pragma once
// The first half of packing: the documents of some input files, tokenized by several threads, as
// sorted runs in a folder of their own.
//
// Local. The caller's thread reads files and reports progress; each of `num_threads` others parses
// and tokenizes with an encoder of its own. Memory: half of the options' memory holds documents,
// the rest is text under way; on top come the longest documents and some MiB a thread. The folder
// appears at once and whole, by the commit protocol of data/file.h. Errors: std::invalid_argument
// (input; a bad line past the limit), std::system_error (machine).
#include <cstdint>
#include <filesystem>
#include <memory>
#include <vector>

#include "data/shards/pack_options.h"
#include "data/shards/pack_plan.h"
#include "data/shards/unit_record.h"

namespace phalanx {

/// For the bad line that is one too many.
[[noreturn]] void refuse_bad_line(const PackPlan& plan, const RejectedRecord& record,
                                  int64_t limit);

/// Keeps threads' encoders and memory from unit to unit.
class UnitEncoder {
 public:
  /// `plan` and `options` must outlive it.
  UnitEncoder(const PackPlan& plan, const PackOptions& options, const PackTokenizer& tokenizer);
  ~UnitEncoder();
  UnitEncoder(const UnitEncoder&) = delete;
  UnitEncoder& operator=(const UnitEncoder&) = delete;

  /// Makes `folder` with the unit's runs and its record. `bad_before`: bad lines of other units.
  /// `report` gets the bytes of this unit's files, and what was tokenized since the object began.
  void encode(const PackUnit& unit, int64_t bad_before, const std::filesystem::path& folder,
              const ReportProgress& report);

 private:
  class Worker;
  struct Task;

  void read_files(Task& task, const ReportProgress& report) const;
  PackProgress progress(int64_t done) const;
  void write_records(Task& task);

  const PackPlan& plan_;
  const PackOptions& options_;
  int64_t chunk_bytes_;
  std::vector<std::unique_ptr<Worker>> workers_;
};

}  // namespace phalanx
