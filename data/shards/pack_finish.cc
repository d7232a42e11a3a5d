#include "data/shards/pack_finish.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "data/file.h"
#include "data/json_fields.h"
#include "data/shards/origins.h"

namespace phalanx {
namespace {

std::string input_list(const PackPlan& plan) {
  std::string list;
  for (const PackInput& input : plan.inputs) list += input.path + "\n";
  return list;
}

/// What both parts record alike.
PackingRecord packing_record(const PackPlan& plan, const std::vector<UnitRecord>& units) {
  PackingRecord record;
  record.seed = plan.options.seed;
  record.validation_per_mille = plan.options.validation_per_mille;
  for (const std::string& pattern : plan.options.inputs) {
    record.inputs.push_back({pattern, 0, 0, 0});
  }
  size_t file = 0;
  for (const UnitRecord& unit : units) {
    record.rejected_empty += unit.rejected_empty;
    record.rejected_bad += static_cast<int64_t>(unit.rejected.size());
    for (const UnitFile& read : unit.files) {
      const PackInput& input = plan.inputs.at(file++);
      InputEntry& entry = record.inputs[static_cast<size_t>(input.pattern)];
      ++entry.num_files;
      entry.bytes += read.bytes;
      entry.num_documents += read.records;
      record.documents_read += read.records;
    }
  }
  return record;
}

DatasetManifest part_manifest(const PackPlan& plan, const PackingRecord& record) {
  DatasetManifest manifest;
  manifest.name = plan.options.name;
  manifest.kind = plan.options.kind;
  manifest.licence = plan.options.licence;
  manifest.tokenizer = plan.tokenizer;
  manifest.vocab_size = plan.vocab_size;
  manifest.end_of_document = plan.end_of_document;
  manifest.token_type = plan.token_type();
  manifest.packing = record;
  return manifest;
}

void write_rejected(const PackPlan& plan, const std::vector<UnitRecord>& units,
                    const std::filesystem::path& path) {
  std::string lines;
  for (const UnitRecord& unit : units) {
    for (const RejectedRecord& record : unit.rejected) {
      const Json line = {{"file", plan.inputs.at(record.file).path},
                         {"line", record.line},
                         {"problem", record.problem}};
      lines += line.dump() + "\n";
    }
  }
  if (!lines.empty()) commit_file(path, lines);
}

}  // namespace

void write_manifests(const PackPlan& plan, const PackWork& work) {
  const ShardPlan shards = work.shard_plan().value();
  const std::vector<UnitRecord> units = work.unit_records(plan.units.size());
  const std::string inputs = input_list(plan);
  PackingRecord record = packing_record(plan, units);
  record.inputs_xxh3 = xxh3(inputs);
  for (const bool validation : {false, true}) {
    DatasetManifest manifest = part_manifest(plan, record);
    std::filesystem::path folder;
    int64_t elsewhere = 0;
    for (const PlannedShard& shard : shards.shards) {
      if (shard.validation == validation) {
        manifest.shards.push_back(work.shard_entry(shard, plan.token_type()));
        manifest.packing.part = shard.part();
        folder = work.part_folder(shard);
      } else {
        elsewhere += shard.num_documents;
      }
    }
    if (manifest.shards.empty()) continue;
    std::sort(manifest.shards.begin(), manifest.shards.end(),
              [](const ShardEntry& a, const ShardEntry& b) { return a.file < b.file; });
    manifest.packing.documents_in_other_part = elsewhere;
    manifest.text_bytes = validation ? shards.validation_text_bytes : shards.train_text_bytes;
    commit_file(folder / kInputListName, inputs);
    commit_file(folder / kManifestName, manifest_json(manifest));
  }
  write_rejected(plan, units, work.folder() / kRejectedName);
}

}  // namespace phalanx
