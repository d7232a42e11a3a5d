#pragma once
// What the first half of packing gave for some input files, kept as unit.json beside the sorted
// runs. Local; values. Errors: std::invalid_argument with file, field, expected and found.
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace phalanx {

/// A line or row that holds no document.
struct RejectedRecord {
  uint64_t file = 0;
  int64_t line = 0;
  std::string problem;
};

struct RunRecord {
  std::string name;
  int64_t bytes = 0;
};

/// An input file as it was read.
struct UnitFile {
  int64_t bytes = 0;
  int64_t mtime_ns = 0;
  int64_t records = 0;
};

struct UnitRecord {
  std::vector<UnitFile> files;
  int64_t num_documents = 0;  // in the runs
  int64_t rejected_empty = 0;
  int64_t num_held_out = 0;                // with a content hash that falls to validation
  uint64_t smallest_content = UINT64_MAX;  // hash
  std::vector<RejectedRecord> rejected;    // in the order of files and lines
  std::vector<RunRecord> runs;
};

void commit_unit_record(const std::filesystem::path& folder, const UnitRecord& unit);
[[nodiscard]] UnitRecord load_unit_record(const std::filesystem::path& folder);

}  // namespace phalanx
