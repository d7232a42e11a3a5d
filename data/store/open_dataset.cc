#include "data/store/open_dataset.h"

#include <fmt/format.h>

#include <stdexcept>

#include "data/shards/dataset_files.h"
#include "data/shards/dataset_manifest.h"
#include "data/store/store_files.h"

namespace phalanx {
namespace {

Places below(const Places& places, const char* part) {
  Places parts;
  for (const StoreUrl& place : places) parts.push_back(place.below(part));
  return parts;
}

DatasetParts open_folder(const std::string& folder) {
  DatasetParts parts;
  parts.train = std::make_shared<const FolderFiles>(train_folder(folder));
  if (const auto validation = validation_folder(folder)) {
    parts.validation = std::make_shared<const FolderFiles>(*validation);
  }
  return parts;
}

}  // namespace

DatasetOpener::DatasetOpener(StoreSettings settings, StoreEnvironment environment,
                             std::shared_ptr<FilePool> files)
    : settings_(std::move(settings)),
      environment_(std::move(environment)),
      files_(std::move(files)) {}

DatasetParts DatasetOpener::open(const std::vector<std::string>& places) {
  if (is_store_url(places.front())) return open_stored(places);
  return open_folder(places.front());
}

/// Null where no place has a manifest, with what they said.
std::shared_ptr<const FileSource> DatasetOpener::find(const Places& places,
                                                      std::string& refusal) const {
  FetchedText manifest = queue_->text(places, std::string(kManifestName), kMaxManifestBytes);
  refusal = manifest.refusal;
  if (!manifest.text) return nullptr;
  return std::make_shared<const StoreFiles>(queue_, places, std::move(*manifest.text));
}

DatasetParts DatasetOpener::open_stored(const std::vector<std::string>& places) {
  Places urls;
  for (const std::string& place : places) urls.push_back(parse_store_url(place));
  if (!HttpClient::is_there()) {
    throw std::invalid_argument(
        fmt::format("{}: expected a folder: this build was made without libcurl and cannot fetch "
                    "(./launch/setup.sh installs it; then build again)",
                    places.front()));
  }
  if (!queue_) {
    queue_ = std::make_shared<FetchQueue>(settings_, environment_,
                                          [files = files_] { files->close_idle(); });
  }
  DatasetParts parts;
  std::string here, below_it, held_out;
  parts.train = find(urls, here);
  const bool in_parts = parts.train == nullptr;
  if (in_parts) parts.train = find(below(urls, "train"), below_it);
  if (!parts.train) {
    throw std::invalid_argument(
        fmt::format("{0}: expected a data set ({1} or train/{1} below it), found neither: {2}; {3}",
                    urls.front().text(), kManifestName, here, below_it));
  }
  parts.validation = find(below(urls, "validation"), held_out);
  if (!in_parts || parts.validation) return parts;
  const std::string manifest = parts.train->read_text(std::string(kManifestName), INT64_MAX);
  const PackingRecord packing =
      parse_manifest(manifest, parts.train->place_of(std::string(kManifestName))).packing;
  if (packing.documents_in_other_part == 0) return parts;
  throw std::invalid_argument(
      fmt::format("{0}/validation/{1}: expected the part with the {2} documents that were held "
                  "out, found none: "
                  "{3}; {0}/train names the data set without it",
                  urls.front().text(), kManifestName, packing.documents_in_other_part, held_out));
}

}  // namespace phalanx
