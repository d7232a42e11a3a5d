#pragma once
// A data set in a store, as its readers see it: its files are fetched into the cache of the host
// and opened there.
//
// Local. Const methods may run in several threads at once. Shares the queue. Errors: StoreError
// with URL, answer and tries (fetch_tries.h).
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/shards/file_source.h"
#include "data/store/fetch_queue.h"

namespace phalanx {

class StoreFiles final : public FileSource {
 public:
  /// `places` are those of the folder with the manifest, of which `manifest` is the text.
  StoreFiles(std::shared_ptr<FetchQueue> queue, Places places, std::string manifest);

  const std::string& name() const override { return name_; }
  std::string read_text(const std::string& file, int64_t max_bytes) const override;
  HeldFile hold(const DatasetFile& file) const override;
  void check(const DatasetFile& file) const override;
  size_t max_checks() const override { return 2; }
  void expect(const std::vector<DatasetFile>& files) const override;
  void stop_waiting() const override { queue_->stop_waiting(user_); }

 private:
  StoredFile stored(const DatasetFile& file) const;

  std::shared_ptr<FetchQueue> queue_;
  std::shared_ptr<const Places> places_;
  std::string name_, manifest_;
  uint64_t user_;  // of queue_
};

}  // namespace phalanx
