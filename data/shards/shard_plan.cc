#include "data/shards/shard_plan.h"

#include <fmt/format.h>

#include <array>
#include <stdexcept>

#include "data/block_hash.h"
#include "data/json_fields.h"

namespace phalanx {
namespace {

constexpr int64_t kReportEvery = 1 << 16;  // documents

}  // namespace

bool PartRule::to_validation(uint64_t content_hash) const {
  if (any_below) return falls_to_validation(content_hash, per_mille);
  return per_mille > 0 && content_hash == smallest_content;
}

std::string PlannedShard::file() const { return fmt::format("shard-{:05}", number); }

OrderRange ShardPlan::range_of(size_t shard) const {
  for (size_t next = shard + 1; next < shards.size(); ++next) {
    if (shards[next].validation == shards[shard].validation) {
      return {shards[shard].first, shards[next].first};
    }
  }
  return {shards[shard].first, std::nullopt};
}

ShardPlan make_shard_plan(std::span<const RunFile> runs, const PartRule& rule, int64_t shard_tokens,
                          int64_t buffer_bytes, const std::function<void(int64_t)>& report) {
  ShardPlan plan;
  plan.rule = rule;
  struct Part {
    int64_t num_shards = 0;
    size_t open = 0;  // the part's last shard among all
  };
  std::array<Part, 2> parts;
  RunMerge merge(runs, {}, buffer_bytes, /*with_ids=*/false);
  int64_t documents = 0;
  while (const RunEntry* entry = merge.next()) {
    const bool validation = rule.to_validation(entry->content_hash);
    Part& part = parts[validation ? 1 : 0];
    if (part.num_shards == 0 || plan.shards[part.open].num_tokens + entry->num_ids > shard_tokens) {
      part.open = plan.shards.size();
      plan.shards.push_back({validation, part.num_shards++, entry->order, 0, 0});
    }
    ++plan.shards[part.open].num_documents;
    plan.shards[part.open].num_tokens += entry->num_ids;
    (validation ? plan.validation_text_bytes : plan.train_text_bytes) += entry->text_bytes;
    if (++documents % kReportEvery == 0 && report) report(documents);
  }
  if (documents == 0) {
    throw std::invalid_argument("input: expected at least one document with text, found none");
  }
  if (parts[0].num_shards == 0) {
    throw std::invalid_argument(fmt::format(
        "input: expected different documents for training and validation, found {} that all fall "
        "to validation at fraction {:.3f}",
        documents, static_cast<double>(rule.per_mille) / 1000));
  }
  return plan;
}

std::string shard_plan_json(const ShardPlan& plan) {
  Json shards = Json::array();
  for (const PlannedShard& shard : plan.shards) {
    shards.push_back({{"part", shard.part()},
                      {"number", shard.number},
                      {"first_key", hash_text(shard.first.key)},
                      {"first_file", shard.first.file},
                      {"first_line", shard.first.line},
                      {"documents", shard.num_documents},
                      {"tokens", shard.num_tokens}});
  }
  const Json document = {{"per_mille", plan.rule.per_mille},
                         {"any_below", plan.rule.any_below},
                         {"smallest_content", hash_text(plan.rule.smallest_content)},
                         {"train_text_bytes", plan.train_text_bytes},
                         {"validation_text_bytes", plan.validation_text_bytes},
                         {"shards", shards}};
  return document.dump(1) + "\n";
}

ShardPlan parse_shard_plan(std::string_view json, const std::string& where) {
  const JsonDocument document(json, where);
  const JsonFields fields(document.root(), where);
  ShardPlan plan;
  plan.rule = {fields.count("per_mille", 0, 500), fields.flag("any_below"),
               fields.hash("smallest_content")};
  plan.train_text_bytes = fields.count("train_text_bytes");
  plan.validation_text_bytes = fields.count("validation_text_bytes");
  for (const JsonValue shard : fields.list("shards")) {
    const JsonFields entry(shard,
                           fmt::format("{}[{}]", fields.place("shards"), plan.shards.size()));
    plan.shards.push_back(
        {entry.text("part") == "validation",
         entry.count("number"),
         {entry.hash("first_key"), static_cast<uint64_t>(entry.count("first_file")),
          entry.count("first_line")},
         entry.count("documents"),
         entry.count("tokens")});
  }
  return plan;
}

}  // namespace phalanx
