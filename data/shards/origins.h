#pragma once
// Where each document of a data set came from: SHARD.origins beside the shard and inputs.txt beside
// the manifest (FORMAT.md), written by packing.
//
// Local. OriginWriter has one owner; OriginReader's const methods may run in several threads.
// Memory: the paths of the input files. Errors: std::invalid_argument with file, place, expected
// and found; std::system_error when the machine fails.
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/file.h"
#include "data/shards/dataset_reader.h"

namespace phalanx {

inline constexpr std::string_view kInputListName = "inputs.txt";

struct DocumentOrigin {
  std::string file;
  int64_t line = 0;  // of text, or row of a table, from 1; 0: the whole file
};

/// "books.jsonl:9", or the file alone when it is one document.
[[nodiscard]] std::string origin_text(const DocumentOrigin& origin);

/// Of SHARD.origins for so many documents.
[[nodiscard]] int64_t origins_bytes(int64_t num_documents);

/// Writes SHARD.origins, document by document.
class OriginWriter {
 public:
  OriginWriter(const std::filesystem::path& path, int64_t num_documents);
  void add(uint64_t file, int64_t line);
  WrittenFile finish();

 private:
  DurableWriter writer_;
};

class OriginReader {
 public:
  explicit OriginReader(std::shared_ptr<const DatasetReader> dataset);

  /// Of document `document` of the data set, counted over its shards in the manifest's order.
  /// Nothing when the data set does not record origins.
  [[nodiscard]] std::optional<DocumentOrigin> find(int64_t document) const;

 private:
  std::shared_ptr<const DatasetReader> dataset_;
  std::vector<std::string> inputs_;
};

}  // namespace phalanx
