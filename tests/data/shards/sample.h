#pragma once
// A small data set for the tests of readers, with what it should give back. Local.
#include <filesystem>
#include <string>
#include <vector>

#include "data/shards/bins_file.h"
#include "data/shards/dataset_reader.h"
#include "data/shards/part_writer.h"
#include "tests/data/shards/scratch.h"

namespace phalanx {

inline constexpr int32_t kEnd = 999;

/// A data set of many small shards, with what it should give back.
struct Sample {
  Sample(const std::filesystem::path& path, int num_documents, int64_t shard_tokens,
         int64_t vocab_size = 1000, const std::vector<int64_t>& bin_lengths = {})
      : folder(path) {
    DatasetManifest manifest;
    manifest.name = "sample";
    manifest.vocab_size = vocab_size;
    manifest.end_of_document = kEnd;
    manifest.token_type = token_type_for(vocab_size);
    manifest.packing.part = "train";
    manifest.packing.documents_read = num_documents;
    PartWriter writer(folder, manifest, shard_tokens);
    for (int i = 0; i < num_documents; ++i) {
      std::vector<int32_t> document;
      for (int k = 0; k < (i * 7) % 23; ++k) document.push_back((i * 31 + k) % kEnd);
      document.push_back(kEnd);
      starts.push_back(static_cast<int64_t>(tokens.size()));
      tokens.insert(tokens.end(), document.begin(), document.end());
      writer.add_document("document", 1, document);
    }
    manifest = writer.finish();
    for (ShardEntry& shard : manifest.shards) {
      shard.bins = write_bins(folder / shard.file, bin_lengths);
    }
    commit_file(folder / kManifestName, manifest_json(manifest));
  }

  std::vector<int64_t> starts_in(int64_t begin, int64_t end) const {
    std::vector<int64_t> inside;
    for (const int64_t start : starts) {
      if (start >= begin && start < end) inside.push_back(start - begin);
    }
    return inside;
  }

  /// Of the document that holds `begin`, and of those that begin after it.
  std::vector<int64_t> documents_in(int64_t begin, int64_t end) const {
    std::vector<int64_t> inside;
    for (size_t d = 0; d < starts.size(); ++d) {
      const int64_t stop =
          d + 1 < starts.size() ? starts[d + 1] : static_cast<int64_t>(tokens.size());
      if (starts[d] < end && stop > begin) inside.push_back(static_cast<int64_t>(d));
    }
    return inside;
  }

  std::filesystem::path folder;
  std::vector<int32_t> tokens;
  std::vector<int64_t> starts;
};

/// The descriptors of this process that are open on files of `folder`.
inline int64_t open_descriptors_below(const std::filesystem::path& folder) {
  int64_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code error;
    const std::string target = std::filesystem::read_symlink(entry, error).string();
    count += !error && target.rfind(folder.string(), 0) == 0;
  }
  return count;
}

}  // namespace phalanx
