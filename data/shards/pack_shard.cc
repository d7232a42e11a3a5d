#include "data/shards/pack_shard.h"

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "data/file.h"
#include "data/shards/origins.h"
#include "data/shards/part_writer.h"
#include "data/shards/shard_writer.h"

namespace phalanx {

ShardEntry write_shard(const ShardPlan& plan, size_t shard, std::span<const RunFile> runs,
                       int64_t buffer_bytes, const std::vector<int64_t>& bin_lengths,
                       const std::filesystem::path& folder,
                       const std::function<void(int64_t)>& report) {
  const PlannedShard& planned = plan.shards[shard];
  const std::string prefix = (folder / planned.file()).string();
  ShardWriter writer(prefix, runs.front().token_type());
  OriginWriter origins(prefix + ".origins.tmp", planned.num_documents);
  RunMerge merge(runs, plan.range_of(shard), buffer_bytes, /*with_ids=*/true);
  std::vector<int32_t> ids;
  while (const RunEntry* entry = merge.next()) {
    if (plan.rule.to_validation(entry->content_hash) != planned.validation) continue;
    merge.read_ids(ids);
    writer.add_document(ids);
    origins.add(entry->order.file, entry->order.line);
    report(entry->num_ids);
  }
  if (writer.num_documents() != planned.num_documents ||
      writer.num_tokens() != planned.num_tokens) {
    throw std::invalid_argument(
        fmt::format("{}: expected {} documents of {} tokens as planned, found {} of {} in the "
                    "sorted runs: they were changed; remove the unfinished folder and pack again",
                    prefix, planned.num_documents, planned.num_tokens, writer.num_documents(),
                    writer.num_tokens()));
  }
  const uint64_t origins_xxh3 = origins.finish().xxh3;
  rename_path(prefix + ".origins.tmp", prefix + ".origins");
  ShardEntry entry = finish_shard(writer, folder, planned.file(), bin_lengths);
  entry.origins_xxh3 = origins_xxh3;
  return entry;
}

}  // namespace phalanx
