// What is fetched when, held and let go, with a server on the loopback.
#include "data/store/fetch_queue.h"

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <future>
#include <set>

#include "tests/data/shards/scratch.h"
#include "tests/data/store/canned_server.h"

namespace phalanx {
namespace {

using testing::answer_of;
using testing::CannedServer;
using namespace std::chrono_literals;

/// The path that a request asks for, "/a".
std::string path_of(const std::string& request) {
  return request.substr(4, request.find(' ', 4) - 4);
}

/// A file "/a" holds "aaaaaaaaaa". Those that are closed are answered once they are opened.
class Store {
 public:
  StoredFile file(char name) const {
    const std::string text(10, name);
    return {std::make_shared<const Places>(Places{parse_store_url(server_.url)}),
            {std::string(1, name), std::ssize(text), xxh3(text)}};
  }
  void close(char name) {
    const std::lock_guard lock(mutex_);
    closed_.insert(name);
  }
  void open(char name) {
    const std::lock_guard lock(mutex_);
    closed_.erase(name);
    opened_.notify_all();
  }
  /// From now on it is busy.
  void refuse(char name) {
    const std::lock_guard lock(mutex_);
    refused_.insert(name);
  }
  std::string asked() {
    std::string names;
    for (const std::string& request : server_.requests()) names += path_of(request)[1];
    return names;
  }

 private:
  std::string answer(const std::string& request) {
    const char name = path_of(request)[1];
    std::unique_lock lock(mutex_);
    opened_.wait(lock, [&] { return !closed_.contains(name); });
    if (refused_.contains(name)) return answer_of(503, "", "busy");
    return answer_of(200, "Content-Length: 10\r\n", std::string(10, name));
  }

  std::mutex mutex_;
  std::condition_variable opened_;
  std::set<char> closed_, refused_;
  CannedServer server_{[this](const std::string& request, size_t) { return answer(request); }};
};

/// Whether it comes to hold within a time that no machine takes.
bool comes_true(const std::function<bool()>& condition) {
  for (const auto end = std::chrono::steady_clock::now() + 60s;
       std::chrono::steady_clock::now() < end;) {
    if (condition()) return true;
    std::this_thread::sleep_for(1ms);
  }
  return false;
}

class FetchQueueTest : public ::testing::Test {
 protected:
  std::unique_ptr<FetchQueue> queue(int64_t cache_bytes) {
    StoreSettings settings;
    settings.cache = (scratch_ / "cache").string();
    settings.cache_bytes = cache_bytes;
    settings.connections = 1;
    settings.patience_seconds = 600;
    return std::make_unique<FetchQueue>(settings, StoreEnvironment{}, [] {});
  }
  bool has(const FetchQueue& queue, char name) { return !!queue.cache().find(key(name)); }
  static CacheKey key(char name) { return {xxh3(std::string(10, name)), 10}; }
  /// Another process of the host fetches it.
  FileLock fetched_elsewhere(char name) {
    return std::move(
        *FileLock::try_exclude(scratch_ / "cache" / (cache_name(key(name)) + ".fetching")));
  }

  Scratch scratch_;
  Store store_;
};

TEST_F(FetchQueueTest, HoldsWhatIsAskedForAndWhatIsExpected) {
  const auto fetches = queue(20);
  const uint64_t user = fetches->new_user();
  fetches->expect(user, {store_.file('a'), store_.file('b')});
  EXPECT_EQ(slurp(fetches->hold(user, store_.file('b')).path), "bbbbbbbbbb");
  EXPECT_EQ(slurp(fetches->hold(user, store_.file('a')).path), "aaaaaaaaaa");
  EXPECT_EQ(store_.asked().size(), 2u);
  EXPECT_EQ(fetches->counts().files, 2);
  EXPECT_EQ(fetches->counts().bytes, 20);
  // No room while both are held; then what is not expected any more goes.
  ShardCache others(scratch_ / "cache", 20);
  EXPECT_EQ(std::get<ShardCache::Refusal>(others.begin(key('c'))), ShardCache::Refusal::kNoRoom);
  fetches->expect(user, {store_.file('b')});
  EXPECT_EQ(others.begin(key('c')).index(), 1u);
  EXPECT_FALSE(has(*fetches, 'a'));
  EXPECT_TRUE(has(*fetches, 'b'));
}

TEST_F(FetchQueueTest, WhatIsHalfFetchedIsFetchedToItsEnd) {
  const auto fetches = queue(20);
  const uint64_t user = fetches->new_user();
  store_.close('a');
  fetches->expect(user, {store_.file('a')});
  ASSERT_TRUE(comes_true([&] { return store_.asked() == "a"; }));
  fetches->expect(user, {});  // another rank of the host may still wait for it
  store_.open('a');
  ASSERT_TRUE(comes_true([&] { return has(*fetches, 'a'); }));
  EXPECT_EQ(fetches->counts().failures, 0);
}

TEST_F(FetchQueueTest, WhatFailsIsNotTriedAgainOnceItIsUnwanted) {
  const auto fetches = queue(20);
  const uint64_t user = fetches->new_user();
  store_.refuse('a');
  fetches->expect(user, {store_.file('a')});
  ASSERT_TRUE(comes_true([&] { return store_.asked().starts_with("aa"); }));
  fetches->expect(user, {store_.file('b')});  // on the only connection
  EXPECT_TRUE(comes_true([&] { return has(*fetches, 'b'); }));
}

TEST_F(FetchQueueTest, WhatIsWaitedForComesBeforeWhatIsExpected) {
  const auto fetches = queue(100);
  const uint64_t user = fetches->new_user();
  store_.close('a');
  fetches->expect(user, {store_.file('a'), store_.file('b'), store_.file('c')});
  ASSERT_TRUE(comes_true([&] { return store_.asked() == "a"; }));
  auto held = std::async(std::launch::async, [&] { return fetches->hold(user, store_.file('d')); });
  std::this_thread::sleep_for(500ms);  // so that it waits by then
  store_.open('a');
  held.get();
  EXPECT_TRUE(comes_true([&] { return store_.asked() == "adbc"; })) << store_.asked();
}

TEST_F(FetchQueueTest, LetsGoOfTheLastForWhatIsWaitedFor) {
  const auto fetches = queue(20);
  const uint64_t user = fetches->new_user();
  fetches->expect(user, {store_.file('a'), store_.file('b')});
  ASSERT_TRUE(comes_true([&] { return has(*fetches, 'a') && has(*fetches, 'b'); }));
  const HeldFile held = fetches->hold(user, store_.file('c'));
  EXPECT_EQ(slurp(held.path), "cccccccccc");
  EXPECT_TRUE(has(*fetches, 'a'));
  EXPECT_FALSE(has(*fetches, 'b'));
}

TEST_F(FetchQueueTest, WaitsForAnotherProcessAndFetchesWhereThatGaveUp) {
  const auto fetches = queue(20);
  const uint64_t user = fetches->new_user();
  auto marker = std::make_unique<FileLock>(fetched_elsewhere('a'));
  auto held = std::async(std::launch::async, [&] { return fetches->hold(user, store_.file('a')); });
  EXPECT_EQ(held.wait_for(100ms), std::future_status::timeout);
  EXPECT_EQ(store_.asked(), "");
  marker.reset();
  EXPECT_EQ(slurp(held.get().path), "aaaaaaaaaa");
}

TEST_F(FetchQueueTest, AWaitEndsWhenItIsTold) {
  const auto fetches = queue(20);
  const uint64_t user = fetches->new_user();
  const FileLock marker = fetched_elsewhere('a');
  auto held = std::async(std::launch::async, [&] { return fetches->hold(user, store_.file('a')); });
  while (held.wait_for(1ms) == std::future_status::timeout) fetches->stop_waiting(user);
  EXPECT_THROW((void)held.get(), FetchStopped);
}

}  // namespace
}  // namespace phalanx
