#pragma once
// What a process fetches from stores: files that somebody waits for, then those that are read next,
// in their order, by some threads with a connection each, into the cache of the host.
//
// Local. Any number of threads may call. Owned by whoever opens the data of a run and shared with
// its readers. Files that are expected, and have come, are held: no other process evicts them.
// Where a file that somebody waits for finds no room, files held ahead are let go, the last ones
// first. Processes of a host divide the work by the cache's locks: what another one fetches is
// waited for, so a transfer is not cut off when it is wanted here no more, but not tried again.
// Blocks all signals in its threads. The destructor ends transfers under way. Errors: hold() throws
// what fetching the file came to (fetcher.h, shard_cache.h); what fails ahead of its time is tried
// again when it is asked for.
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "data/store/shard_cache.h"
#include "data/store/store_settings.h"

namespace phalanx {

/// A file and where it is to be had.
struct StoredFile {
  std::shared_ptr<const Places> places;
  DatasetFile file;

  CacheKey key() const { return {file.xxh3, file.bytes}; }
};

struct FetchCounts {
  int64_t files = 0;  // fetched by this process
  int64_t bytes = 0;
  int64_t failures = 0;  // requests that had to be made again
};

class FetchQueue {
 public:
  /// `let_go` closes files that are open and that nobody reads at the moment.
  FetchQueue(const StoreSettings& settings, const StoreEnvironment& environment,
             std::function<void()> let_go);
  ~FetchQueue();
  FetchQueue(const FetchQueue&) = delete;
  FetchQueue& operator=(const FetchQueue&) = delete;

  const ShardCache& cache() const { return cache_; }
  /// A number that keeps what one user expects apart from the others'.
  [[nodiscard]] uint64_t new_user();

  [[nodiscard]] HeldFile hold(uint64_t user, const StoredFile& file);
  /// In place of what `user` expected before.
  void expect(uint64_t user, const std::vector<StoredFile>& files);
  /// Calls of hold() for `user` that wait at the moment throw FetchStopped.
  void stop_waiting(uint64_t user);

  [[nodiscard]] FetchedText text(const Places& places, const std::string& name, int64_t max_bytes);
  void check(const StoredFile& file);

  [[nodiscard]] FetchCounts counts() const;

 private:
  struct Job {
    StoredFile file;
    int waiting = 0;  // callers of hold()
    bool busy = false;
    std::shared_ptr<std::atomic<bool>> unwanted;  // of the thread that is busy with it
    std::shared_ptr<const CachedFile> held;
    std::exception_ptr error;
    double not_before = 0;          // in seconds, to look again
    double without_room_since = 0;  // 0: it has found room
    double elsewhere_since = 0;     // that another process has fetched it; 0: none does
  };
  using Jobs = std::map<CacheKey, Job>;

  void work();
  Job* pick(double now, double& wake_at);
  bool is_ready(const Job& job, double now, double& wake_at) const;
  void run(std::unique_lock<std::mutex>& lock, Job& job, Fetcher& fetcher);
  std::optional<ShardCache::Refusal> get(const StoredFile& file, Fetcher& fetcher, double waited,
                                         std::shared_ptr<const CachedFile>& held);
  void postpone(Job& job, ShardCache::Refusal refusal);
  void let_go_of_the_last();
  void sweep();
  Fetcher make_fetcher(const Patience& patience, std::function<bool()> unwanted) const;
  Fetcher make_first_fetcher() const;

  StoreSettings settings_;
  RequestMaker requests_;
  HttpLimits limits_;
  ShardCache cache_;
  std::function<void()> let_go_;
  mutable std::mutex mutex_;  // guards all below but the threads
  std::condition_variable work_, done_;
  Jobs jobs_;
  std::map<uint64_t, std::vector<CacheKey>> expected_;  // by user, in order
  std::map<uint64_t, int64_t> cancels_;                 // by user: calls of stop_waiting()
  uint64_t num_users_ = 0;
  FetchCounts counts_;
  std::atomic<bool> stop_ = false;
  std::vector<std::thread> threads_;  // last, so that they start when all else is there
};

/// Where data sets of this host are cached when data.store.cache is empty.
[[nodiscard]] std::filesystem::path cache_folder(const StoreSettings& settings,
                                                 const StoreEnvironment& environment);

}  // namespace phalanx
