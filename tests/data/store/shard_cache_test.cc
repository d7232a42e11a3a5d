#include "data/store/shard_cache.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <set>
#include <thread>

#include "tests/data/shards/scratch.h"

namespace phalanx {
namespace {

std::span<const std::byte> bytes_of_text(const std::string& text) {
  return std::as_bytes(std::span(text));
}

CacheKey key_of(const std::string& text) { return {xxh3(text), static_cast<int64_t>(text.size())}; }

std::set<std::string> names_in(const std::filesystem::path& folder) {
  std::set<std::string> names;
  for (const auto& file : std::filesystem::directory_iterator(folder)) {
    if (file.path().filename() != "lock") names.insert(file.path().filename());
  }
  return names;
}

std::unique_ptr<CacheWriter> writer_for(ShardCache& cache, const std::string& text) {
  auto begun = cache.begin(key_of(text));
  return std::move(std::get<std::unique_ptr<CacheWriter>>(begun));
}

void put(ShardCache& cache, const std::string& text) {
  const auto writer = writer_for(cache, text);
  writer->append(bytes_of_text(text));
  EXPECT_EQ(writer->xxh3(), xxh3(text));
  writer->commit();
}

ShardCache::Refusal refusal_of(ShardCache& cache, const std::string& text) {
  return std::get<ShardCache::Refusal>(cache.begin(key_of(text)));
}

class ShardCacheTest : public testing::Test {
 protected:
  std::filesystem::path folder() const { return scratch_ / "cache"; }
  Scratch scratch_;
};

TEST_F(ShardCacheTest, GivesBackWhatWasCommitted) {
  ShardCache cache(folder(), 100);
  EXPECT_EQ(cache.find(key_of("shard")), nullptr);
  put(cache, "shard");
  EXPECT_EQ(refusal_of(cache, "shard"), ShardCache::Refusal::kThere);
  const auto file = cache.find(key_of("shard"));
  ASSERT_NE(file, nullptr);
  EXPECT_EQ(slurp(file->lock.file().path()), "shard");
  EXPECT_EQ(names_in(folder()), std::set<std::string>{cache_name(key_of("shard"))});
  EXPECT_EQ(cache.used_bytes(), 5);
}

TEST_F(ShardCacheTest, WhatWasNotCommittedLeavesNothing) {
  ShardCache cache(folder(), 100);
  {
    const auto writer = writer_for(cache, "half a shard");
    writer->append(bytes_of_text("half"));
    EXPECT_EQ(refusal_of(cache, "half a shard"), ShardCache::Refusal::kElsewhere);
    EXPECT_EQ(names_in(folder()),
              std::set<std::string>{cache_name(key_of("half a shard")) + ".fetching"});
  }
  EXPECT_EQ(names_in(folder()), std::set<std::string>{});
}

TEST_F(ShardCacheTest, StartsAnewWhereTheStoreDoes) {
  ShardCache cache(folder(), 100);
  const auto writer = writer_for(cache, "shard");
  writer->append(bytes_of_text("sha"));
  writer->restart();
  EXPECT_EQ(writer->size(), 0);
  writer->append(bytes_of_text("shard"));
  EXPECT_EQ(writer->xxh3(), xxh3("shard"));
  writer->commit();
  EXPECT_EQ(slurp(folder() / cache_name(key_of("shard"))), "shard");
}

TEST_F(ShardCacheTest, EvictsWhatWasUsedLongestAgoAndNothingInUse) {
  ShardCache cache(folder(), 10);
  put(cache, "aaaa");
  put(cache, "bbbb");
  const auto used = cache.find(key_of("aaaa"));  // and held
  put(cache, "cccc");
  EXPECT_EQ(names_in(folder()),
            (std::set<std::string>{cache_name(key_of("aaaa")), cache_name(key_of("cccc"))}));
  const auto other = cache.find(key_of("cccc"));
  EXPECT_EQ(refusal_of(cache, "dddd"), ShardCache::Refusal::kNoRoom);
  EXPECT_EQ(cache.used_bytes(), 8);
}

TEST_F(ShardCacheTest, RoomThatIsKeptForAFetchCounts) {
  ShardCache cache(folder(), 10);
  const auto writer = writer_for(cache, "aaaaaa");
  EXPECT_EQ(refusal_of(cache, "bbbbbb"), ShardCache::Refusal::kNoRoom);
  EXPECT_NE(writer_for(cache, "cccc"), nullptr);
}

TEST_F(ShardCacheTest, AKilledProcessLeavesWholeFilesOnly) {
  {
    ShardCache cache(folder(), 100);
    put(cache, "whole");
  }
  const pid_t child = fork();
  if (child == 0) {
    ShardCache cache(folder(), 100);
    const auto writer = writer_for(cache, "not whole");
    writer->append(bytes_of_text("not"));
    ::kill(getpid(), SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  int64_t bytes = 0;
  for (const std::string& name : names_in(folder()))
    bytes += std::filesystem::file_size(folder() / name);
  EXPECT_EQ(bytes, 5);  // of the whole one: what was on its way never had a name
  const ShardCache cache(folder(), 100);
  EXPECT_EQ(names_in(folder()), std::set<std::string>{cache_name(key_of("whole"))});
}

TEST_F(ShardCacheTest, ManyThreadsFetchAFileOnce) {
  ShardCache one(folder(), 100), other(folder(), 100);
  std::atomic<int> fetched = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&, i] {
      ShardCache& cache = i % 2 == 0 ? one : other;
      while (!cache.find(key_of("shard"))) {
        auto begun = cache.begin(key_of("shard"));
        if (!std::holds_alternative<std::unique_ptr<CacheWriter>>(begun)) continue;
        const auto& writer = std::get<std::unique_ptr<CacheWriter>>(begun);
        ++fetched;
        writer->append(bytes_of_text("shard"));
        writer->commit();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(fetched, 1);
}

TEST_F(ShardCacheTest, RefusesAFolderThatOthersMayWriteTo) {
  std::filesystem::create_directories(folder());
  ::chmod(folder().c_str(), 0777);
  EXPECT_NE(message_of<std::invalid_argument>([&] {
              ShardCache(folder(), 100);
            }).find("nobody else may write to, found one of user"),
            std::string::npos);
}

TEST_F(ShardCacheTest, RefusesAFileThatSomethingElseWrote) {
  ShardCache cache(folder(), 100);
  spill(folder() / cache_name(key_of("shard")), "other bytes");
  EXPECT_NE(message_of<std::invalid_argument>([&] {
              (void)cache.find(key_of("shard"));
            }).find("expected 5 bytes as its name says, found 11"),
            std::string::npos);
}

}  // namespace
}  // namespace phalanx
