#include "data/store/store_files.h"

#include <fmt/format.h>

#include <stdexcept>

#include "data/shards/dataset_manifest.h"

namespace phalanx {

StoreFiles::StoreFiles(std::shared_ptr<FetchQueue> queue, Places places, std::string manifest)
    : queue_(std::move(queue)),
      places_(std::make_shared<const Places>(std::move(places))),
      name_(places_->front().text()),
      manifest_(std::move(manifest)),
      user_(queue_->new_user()) {}

StoredFile StoreFiles::stored(const DatasetFile& file) const { return {places_, file}; }

std::string StoreFiles::read_text(const std::string& file, int64_t max_bytes) const {
  if (file == kManifestName) return manifest_;
  FetchedText fetched = queue_->text(*places_, file, max_bytes);
  if (fetched.text) return std::move(*fetched.text);
  throw std::invalid_argument(fetched.refusal);
}

HeldFile StoreFiles::hold(const DatasetFile& file) const {
  return queue_->hold(user_, stored(file));
}

void StoreFiles::check(const DatasetFile& file) const { queue_->check(stored(file)); }

void StoreFiles::expect(const std::vector<DatasetFile>& files) const {
  std::vector<StoredFile> wanted;
  for (const DatasetFile& file : files) wanted.push_back(stored(file));
  queue_->expect(user_, wanted);
}

}  // namespace phalanx
