#include "data/shards/unit_record.h"

#include <fmt/format.h>

#include "data/block_hash.h"
#include "data/file.h"
#include "data/json_fields.h"

namespace phalanx {
namespace {

constexpr const char* kUnitName = "unit.json";
constexpr int64_t kMaxUnitRecordBytes = int64_t{1} << 30;

Json rejected_json(const std::vector<RejectedRecord>& rejected) {
  Json list = Json::array();
  for (const RejectedRecord& record : rejected) {
    list.push_back({{"file", record.file}, {"line", record.line}, {"problem", record.problem}});
  }
  return list;
}

Json files_json(const std::vector<UnitFile>& files) {
  Json list = Json::array();
  for (const UnitFile& file : files) {
    list.push_back({{"bytes", file.bytes}, {"mtime_ns", file.mtime_ns}, {"records", file.records}});
  }
  return list;
}

Json runs_json(const std::vector<RunRecord>& runs) {
  Json list = Json::array();
  for (const RunRecord& run : runs) list.push_back({{"name", run.name}, {"bytes", run.bytes}});
  return list;
}

}  // namespace

void commit_unit_record(const std::filesystem::path& folder, const UnitRecord& unit) {
  const Json document = {{"files", files_json(unit.files)},
                         {"documents", unit.num_documents},
                         {"rejected_empty", unit.rejected_empty},
                         {"held_out", unit.num_held_out},
                         {"smallest_content", hash_text(unit.smallest_content)},
                         {"rejected", rejected_json(unit.rejected)},
                         {"runs", runs_json(unit.runs)}};
  commit_file(folder / kUnitName, document.dump(1) + "\n");
}

UnitRecord load_unit_record(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / kUnitName;
  const JsonDocument document(read_text(path, kMaxUnitRecordBytes), path.string());
  const JsonFields fields(document.root(), path.string());
  UnitRecord unit;
  for (const JsonValue file : fields.list("files")) {
    const JsonFields entry(file, fields.place("files"));
    unit.files.push_back({entry.count("bytes"), entry.count("mtime_ns", INT64_MIN, INT64_MAX),
                          entry.count("records")});
  }
  unit.num_documents = fields.count("documents");
  unit.rejected_empty = fields.count("rejected_empty");
  unit.num_held_out = fields.count("held_out");
  unit.smallest_content = fields.hash("smallest_content");
  for (const JsonValue record : fields.list("rejected")) {
    const JsonFields entry(record, fields.place("rejected"));
    unit.rejected.push_back(
        {static_cast<uint64_t>(entry.count("file")), entry.count("line"), entry.text("problem")});
  }
  for (const JsonValue run : fields.list("runs")) {
    const JsonFields entry(run, fields.place("runs"));
    unit.runs.push_back({entry.text("name"), entry.count("bytes")});
  }
  return unit;
}

}  // namespace phalanx
