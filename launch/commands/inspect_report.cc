#include "launch/commands/inspect_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "data/block_hash.h"
#include "launch/commands/terminal_text.h"
#include "launch/counted.h"

namespace phalanx {
namespace {

constexpr int64_t kBarColumns = 40;

template <typename T>
void line(std::string_view key, const T& value) {
  fmt::print("  {:<16} {}\n", key, value);
}

struct BinsOfLength {
  int64_t num_bins = 0;
  int64_t num_targets = 0;  // of the shards that have them: no document's first token is one

  double filled(int64_t sequence_length) const {
    const auto room = static_cast<double>(num_bins) * static_cast<double>(sequence_length);
    return room == 0 ? 0 : static_cast<double>(num_targets) / room;
  }
};

std::map<int64_t, BinsOfLength> bins_by_length(const DatasetManifest& manifest) {
  std::map<int64_t, BinsOfLength> lengths;
  for (const ShardEntry& shard : manifest.shards) {
    for (const BinsEntry& bins : shard.bins) {
      lengths[bins.sequence_length].num_bins += bins.num_bins;
      lengths[bins.sequence_length].num_targets += shard.num_tokens - shard.num_documents;
    }
  }
  return lengths;
}

std::string_view order_text(const PackingRecord& packing) {
  return packing.shuffled ? "shuffled" : "that of the input, not shuffled";
}

void print_facts(const DatasetManifest& manifest) {
  line("name", manifest.name);
  line("kind", dataset_kind_name(manifest.kind));
  line("part", manifest.packing.part);
  line("licence", manifest.licence.empty() ? "not stated" : manifest.licence);
  line("documents", manifest.num_documents());
  line("tokens", manifest.num_tokens());
  if (manifest.text_bytes > 0) {
    line("text bytes", manifest.text_bytes);
  } else {
    line("text bytes", "not recorded");
  }
  line("order", order_text(manifest.packing));
  line("vocabulary", manifest.vocab_size);
  line("end of document", manifest.end_of_document);
  line("tokenizer", manifest.tokenizer);
  line("fingerprint", manifest.order_fingerprint());
  const int64_t rejected = manifest.packing.rejected_empty + manifest.packing.rejected_bad;
  if (rejected > 0) {
    line("rejected", fmt::format("{} empty, {} bad", manifest.packing.rejected_empty,
                                 manifest.packing.rejected_bad));
  }
}

void print_files(const DatasetManifest& manifest) {
  for (const InputEntry& input : manifest.packing.inputs) {
    line("input",
         fmt::format("{} ({}, {}, {} bytes)", terminal_text(input.pattern, LineEnds::kEscape),
                     counted(input.num_files, "file"), counted(input.num_documents, "document"),
                     input.bytes));
  }
  for (const auto& [length, bins] : bins_by_length(manifest)) {
    line(fmt::format("bins of {}", length),
         fmt::format("{}, {:.2f} % filled", bins.num_bins, 100 * bins.filled(length)));
  }
  for (const ShardEntry& shard : manifest.shards) {
    line(terminal_text(shard.file, LineEnds::kEscape),
         fmt::format("{}, {}, {} bytes of {}, XXH3 {}, index {}",
                     counted(shard.num_documents, "document"), counted(shard.num_tokens, "token"),
                     shard.bin_bytes, token_type_name(manifest.token_type),
                     hash_text(shard.bin_xxh3), hash_text(shard.idx_xxh3)));
  }
}

void print_lengths(const LengthStatistics& lengths) {
  line("lengths", fmt::format("min {}, mean {:.1f}, median {}, p90 {}, p99 {}, max {} tokens",
                              lengths.min(), lengths.mean(), lengths.quantile(500),
                              lengths.quantile(900), lengths.quantile(990), lengths.max()));
  if (lengths.empty() > 0) {
    line("empty", counted(lengths.empty(), "document") + " without tokens");
  }
  int64_t highest = 1;
  const std::vector<LengthStatistics::Bar> bars = lengths.histogram();
  for (const auto& bar : bars) highest = std::max(highest, bar.count);
  for (const auto& bar : bars) {
    const std::string range =
        bar.low == bar.high ? fmt::format("{}", bar.low) : fmt::format("{}-{}", bar.low, bar.high);
    // A bar that holds anything is seen.
    const auto share = static_cast<double>(bar.count) / static_cast<double>(highest);
    const auto columns = static_cast<size_t>(share * kBarColumns + (bar.count > 0 ? 0.999 : 0));
    fmt::print("  {:>16} {:>12}{}{}\n", range, bar.count, columns > 0 ? " " : "",
               std::string(std::min<size_t>(columns, kBarColumns), '#'));
  }
}

Json lengths_json(const LengthStatistics& lengths) {
  Json histogram = Json::array();
  for (const auto& bar : lengths.histogram()) {
    histogram.push_back({{"from", bar.low}, {"to", bar.high}, {"documents", bar.count}});
  }
  return {{"empty", lengths.empty()},     {"min", lengths.min()},
          {"mean", lengths.mean()},       {"median", lengths.quantile(500)},
          {"p90", lengths.quantile(900)}, {"p99", lengths.quantile(990)},
          {"max", lengths.max()},         {"histogram", histogram}};
}

Json facts_json(const PartReport& report) {
  Json json = Json::parse(manifest_json(report.manifest));
  json["folder"] = report.folder;
  json["fingerprint"] = report.manifest.order_fingerprint();
  return json;
}

}  // namespace

void print_part(const PartReport& report, const Tokenizer* tokenizer) {
  fmt::print("{}\n", report.folder);
  print_facts(report.manifest);
  if (report.lengths) print_lengths(*report.lengths);
  print_files(report.manifest);
  for (const InspectedDocument& sample : report.samples) {
    const bool cut = static_cast<int64_t>(sample.tokens.size()) < sample.length;
    fmt::print("  {}\n    {}{}\n", document_line(sample),
               terminal_text(document_text(sample, tokenizer), LineEnds::kEscape),
               cut ? " ..." : "");
  }
  if (!report.problems) return;
  for (const std::string& problem : *report.problems) line("damaged", problem);
  if (report.problems->empty()) line("verified", "all shards are as their manifest says");
}

Json part_json(const PartReport& report, const Tokenizer* tokenizer) {
  Json json = facts_json(report);
  if (report.lengths) json["lengths"] = lengths_json(*report.lengths);
  for (const auto& [length, bins] : bins_by_length(report.manifest)) {
    json["bins"].push_back(
        {{"sequence_length", length}, {"bins", bins.num_bins}, {"filled", bins.filled(length)}});
  }
  for (const InspectedDocument& sample : report.samples) {
    json["samples"].push_back(document_json(sample, tokenizer));
  }
  if (report.problems) json["problems"] = *report.problems;
  return json;
}

std::string json_line(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace phalanx
