#pragma once
// Opens data sets by what a person wrote: a folder, or one or several URLs of the same data set in
// stores.
//
// Local. One owner. Threads start with the first data set in a store. Errors:
// std::invalid_argument naming what was looked for and where; StoreError; that a build without
// libcurl cannot fetch.
#include <memory>
#include <string>
#include <vector>

#include "data/shards/file_pool.h"
#include "data/shards/file_source.h"
#include "data/store/fetch_queue.h"

namespace phalanx {

struct DatasetParts {
  std::shared_ptr<const FileSource> train;
  std::shared_ptr<const FileSource> validation;  // null: none
};

class DatasetOpener {
 public:
  /// `files` are the open ones of all data sets.
  DatasetOpener(StoreSettings settings, StoreEnvironment environment,
                std::shared_ptr<FilePool> files);

  /// PLACE itself or PLACE/train, whichever has dataset.json, and PLACE/validation when it has.
  [[nodiscard]] DatasetParts open(const std::vector<std::string>& places);

  /// Null while nothing is fetched.
  const std::shared_ptr<FetchQueue>& queue() const { return queue_; }

 private:
  DatasetParts open_stored(const std::vector<std::string>& places);
  std::shared_ptr<const FileSource> find(const Places& places, std::string& refusal) const;

  StoreSettings settings_;
  StoreEnvironment environment_;
  std::shared_ptr<FilePool> files_;
  std::shared_ptr<FetchQueue> queue_;
};

}  // namespace phalanx
