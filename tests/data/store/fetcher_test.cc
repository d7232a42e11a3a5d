// One file at a time from a server of canned answers on the loopback.
#include "data/store/fetcher.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "data/block_hash.h"
#include "tests/data/shards/scratch.h"
#include "tests/data/store/canned_server.h"

namespace phalanx {
namespace {

using testing::answer_of;
using testing::CannedServer;

class TextTarget : public FetchTarget {
 public:
  int64_t size() const override { return std::ssize(text); }
  void append(std::span<const std::byte> bytes) override {
    text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  void restart() override { text.clear(); }
  uint64_t xxh3() const override { return phalanx::xxh3(text); }
  std::string text;
};

/// What the fetched file holds, or the message.
std::string fetch(CannedServer& server, const DatasetFile& file, double patience = 5) {
  const RequestMaker requests({}, {});
  Fetcher fetcher(requests, {}, patience, [] { return false; });
  TextTarget target;
  try {
    fetcher.fetch({parse_store_url(server.url)}, file, target);
  } catch (const StoreError& error) {
    return error.what();
  }
  return target.text;
}

const DatasetFile kFile{"f.bin", 10, xxh3("0123456789")};
const DatasetFile kHead{"f.bin", 4, xxh3("0123"), 10};

TEST(Fetcher, GoesOnWhereATransferBroke) {
  CannedServer server(
      {answer_of(200, "Content-Length: 10\r\nETag: \"a\"\r\n", "0123"),
       answer_of(206, "Content-Range: bytes 4-9/10\r\nContent-Length: 6\r\n", "456789")});
  EXPECT_EQ(fetch(server, kFile), "0123456789");
  const std::vector<std::string> requests = server.requests();
  EXPECT_EQ(requests[0].find("range:"), std::string::npos);
  EXPECT_NE(requests[1].find("range: bytes=4-9\r\n"), std::string::npos) << requests[1];
  EXPECT_NE(requests[1].find("if-range: \"a\"\r\n"), std::string::npos) << requests[1];
}

TEST(Fetcher, BeginsAnewWhereTheStoreSendsTheWholeOrAnotherFile) {
  CannedServer whole({answer_of(200, "Content-Length: 10\r\n", "0123"),
                      answer_of(200, "Content-Length: 10\r\n", "0123456789")});
  EXPECT_EQ(fetch(whole, kFile), "0123456789");
  CannedServer other(
      {answer_of(200, "Content-Length: 10\r\n", "0123"),
       answer_of(206, "Content-Range: bytes 0-5/10\r\nContent-Length: 6\r\n", "012345"),
       answer_of(200, "Content-Length: 10\r\n", "0123456789")});
  EXPECT_EQ(fetch(other, kFile), "0123456789");
  // A part of a file that changed in between: the hash of both together is not the file's.
  CannedServer changed(
      {answer_of(200, "Content-Length: 10\r\n", "xxxx"),
       answer_of(206, "Content-Range: bytes 4-9/10\r\nContent-Length: 6\r\n", "456789"),
       answer_of(200, "Content-Length: 10\r\n", "0123456789")});
  EXPECT_EQ(fetch(changed, kFile), "0123456789");
}

TEST(Fetcher, TakesTheBeginningOfAFile) {
  CannedServer ranges(
      {answer_of(206, "Content-Range: bytes 0-3/10\r\nContent-Length: 4\r\n", "0123")});
  EXPECT_EQ(fetch(ranges, kHead), "0123");
  EXPECT_NE(ranges.requests()[0].find("range: bytes=0-3\r\n"), std::string::npos);
  CannedServer whole({answer_of(200, "Content-Length: 10\r\n", "0123456789")});
  EXPECT_EQ(fetch(whole, kHead), "0123");
  CannedServer longer(
      {answer_of(206, "Content-Range: bytes 0-3/11\r\nContent-Length: 4\r\n", "0123")});
  EXPECT_NE(fetch(longer, kHead).find("expected 10 bytes as dataset.json says, found 11 (2 times)"),
            std::string::npos);
}

TEST(Fetcher, ARedirectOfAWebServerIsFollowed) {
  CannedServer target({answer_of(200, "Content-Length: 10\r\n", "0123456789")});
  CannedServer server({answer_of(302, "Location: " + target.url + "/there\r\n", "")});
  EXPECT_EQ(fetch(server, kFile), "0123456789");
  CannedServer circle({answer_of(302, "Location: /f.bin\r\n", "")});
  EXPECT_NE(fetch(circle, kFile).find("redirect"), std::string::npos);
}

TEST(Fetcher, SaysWhatWasTried) {
  CannedServer busy({answer_of(503, "", "busy")});
  const std::string message = fetch(busy, kFile, 1);
  EXPECT_NE(message.find(busy.url + "/f.bin: 503 busy ("), std::string::npos) << message;
  EXPECT_NE(message.find("data.store.patience"), std::string::npos);
  EXPECT_GT(busy.requests().size(), 1u);
  CannedServer nonsense({"not HTTP at all\r\n\r\n"});
  EXPECT_NE(fetch(nonsense, kFile, 1).find("given up"), std::string::npos);
}

std::string refused(const char* code) {
  return answer_of(403, "",
                   fmt::format("<Error><Code>{}</Code><Message>No</Message></Error>", code));
}

TEST(Fetcher, AsksAgainWhereKeysThatWereGoodHaveRunOut) {
  const std::string good = answer_of(200, "Content-Length: 10\r\n", "0123456789");
  CannedServer server(
      {refused("ExpiredToken"), good, refused("ExpiredToken"), good, refused("AccessDenied")});
  StoreSettings settings;
  settings.endpoint = server.url;
  StoreEnvironment machine;
  machine.keys = [] { return AwsKeys{"AKID", "secret", ""}; };
  const RequestMaker requests(settings, machine);
  Fetcher fetcher(requests, {}, 5, [] { return false; });
  const auto fetch_anew = [&] {
    TextTarget target;
    fetcher.fetch({parse_store_url("s3://bucket")}, kFile, target);
    return target.text;
  };
  EXPECT_THROW((void)fetch_anew(), StoreError);  // they never were good
  EXPECT_EQ(fetch_anew(), "0123456789");
  EXPECT_EQ(fetch_anew(), "0123456789");         // at the second try
  EXPECT_THROW((void)fetch_anew(), StoreError);  // a file that nobody may read
  EXPECT_EQ(server.requests().size(), 5u);
}

TEST(Fetcher, AHostWithoutAnAddressIsAskedForAgainAndAgain) {
  const RequestMaker requests({}, {});
  Fetcher fetcher(requests, {}, 1, [] { return false; });
  TextTarget target;
  const auto fetch_from = [&](const Places& places) { fetcher.fetch(places, kFile, target); };
  const StoreUrl nowhere = parse_store_url("http://nowhere.invalid/data");
  const std::string message = message_of<StoreError>([&] { fetch_from({nowhere}); });
  EXPECT_NE(message.find("no answer: Could not resolve host: nowhere.invalid ("), std::string::npos)
      << message;
  EXPECT_NE(message.find("data.store.patience"), std::string::npos);
  CannedServer mirror({answer_of(200, "Content-Length: 10\r\n", "0123456789")});
  fetch_from({nowhere, parse_store_url(mirror.url)});
  EXPECT_EQ(target.text, "0123456789");
}

TEST(Fetcher, StopsWhenItIsTold) {
  CannedServer busy({answer_of(503, "Retry-After: 1000\r\n", "")});
  std::atomic<bool> stop = false;
  const RequestMaker requests({}, {});
  Fetcher fetcher(requests, {}, 5000, [&] { return stop.load(); });
  TextTarget target;
  std::thread stopper([&] {
    while (busy.requests().empty()) std::this_thread::yield();
    stop = true;
  });
  EXPECT_THROW(fetcher.fetch({parse_store_url(busy.url)}, kFile, target), FetchStopped);
  stopper.join();
}

}  // namespace
}  // namespace phalanx
