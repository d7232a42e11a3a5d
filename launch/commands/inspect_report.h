#pragma once
// What `phalanx data inspect` says of one data set, for a person or as JSON.
// Local, pure but for print_part, which writes to stdout.
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "data/json_fields.h"
#include "data/shards/dataset_manifest.h"
#include "data/shards/length_statistics.h"
#include "launch/commands/inspect_document.h"

namespace phalanx {

struct PartReport {
  std::string folder;  // or URL
  DatasetManifest manifest;
  std::optional<LengthStatistics> lengths;           // unless only the manifest was read
  std::optional<std::vector<std::string>> problems;  // if everything was verified
  std::vector<InspectedDocument> samples;
};

void print_part(const PartReport& report, const Tokenizer* tokenizer);

[[nodiscard]] Json part_json(const PartReport& report, const Tokenizer* tokenizer);

/// One line; bytes that are not UTF-8 become U+FFFD.
[[nodiscard]] std::string json_line(const Json& json);

}  // namespace phalanx
