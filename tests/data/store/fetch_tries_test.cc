#include "data/store/fetch_tries.h"

#include "tests/data/shards/scratch.h"

namespace phalanx {
namespace {

HttpAnswer busy() {
  HttpAnswer answer;
  answer.status = 503;
  answer.end = HttpEnd::kWhole;
  return answer;
}

TEST(FetchTries, AsksTheNextPlaceAtOnceAndWaitsAfterAllOfThem) {
  FetchTries tries({"https://a/f", "https://b/f"}, 60, 0);
  EXPECT_EQ(tries.place(), 0u);
  EXPECT_EQ(tries.failed(Failure::kMayPass, "503", busy(), 1), 0);
  EXPECT_EQ(tries.place(), 1u);
  EXPECT_GE(tries.failed(Failure::kMayPass, "503", busy(), 2), 0.125);
  EXPECT_EQ(tries.place(), 0u);
  EXPECT_EQ(tries.num_failures(), 2);
}

TEST(FetchTries, DoesNotAskAPlaceThatSaidNo) {
  FetchTries tries({"https://a/f", "https://b/f"}, 60, 0);
  tries.failed(Failure::kRefused, "401", busy(), 0);
  tries.failed(Failure::kMayPass, "503", busy(), 0);
  EXPECT_EQ(tries.place(), 1u);
  const std::string message = message_of<StoreError>(
      [&] { tries.failed(Failure::kAbsent, "404 no such file", busy(), 3); });
  EXPECT_EQ(message,
            "fetch https://a/f: 401 (once); https://b/f: 404 no such file (2 times); given up "
            "after 3 tries in 3.0 s");
  EXPECT_FALSE(tries.absent());
}

TEST(FetchTries, WrongBytesAreAskedForOnceMore) {
  FetchTries tries({"https://a/f"}, 60, 0);
  tries.failed(Failure::kWrongBytes, "XXH3", busy(), 0);
  EXPECT_THROW(tries.failed(Failure::kWrongBytes, "XXH3", busy(), 1), StoreError);
}

TEST(FetchTries, AFileThatNoPlaceHasIsAbsent) {
  FetchTries tries({"https://a/f", "https://b/f"}, 60, 0);
  tries.failed(Failure::kAbsent, "404", busy(), 0);
  EXPECT_THROW(tries.failed(Failure::kAbsent, "404", busy(), 0), StoreError);
  EXPECT_TRUE(tries.absent());
}

/// A file that may be there: one that answers decides where another never does.
TEST(FetchTries, OnePlaceThatSaysNoIsEnoughOnceAllWereAsked) {
  FetchTries first({"https://a/f", "https://b/f"}, 60, 0, Absence::kOneSays);
  first.failed(Failure::kMayPass, "no answer", busy(), 0);
  EXPECT_FALSE(first.absent());
  EXPECT_THROW(first.failed(Failure::kAbsent, "404", busy(), 0), StoreError);
  EXPECT_TRUE(first.absent());
  FetchTries second({"https://a/f", "https://b/f"}, 60, 0, Absence::kOneSays);
  second.failed(Failure::kAbsent, "404", busy(), 0);
  EXPECT_EQ(second.place(), 1u);
  EXPECT_THROW(second.failed(Failure::kMayPass, "no answer", busy(), 0), StoreError);
  EXPECT_TRUE(second.absent());
}

TEST(FetchTries, TheLastTryIsMadeWhenThePatienceEnds) {
  FetchTries tries({"https://a/f"}, {60, "the setting"}, 0);
  for (const double now : {1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 50.0}) {
    tries.failed(Failure::kMayPass, "503", busy(), now);
  }
  EXPECT_NEAR(tries.failed(Failure::kMayPass, "503", busy(), 57), 3, 1e-9);
  const std::string message =
      message_of<StoreError>([&] { tries.failed(Failure::kMayPass, "503", busy(), 60); });
  EXPECT_NE(message.find("nothing new for 60 s (the setting)"), std::string::npos) << message;
  FetchTries told({"https://a/f"}, 60, 0);
  HttpAnswer later = busy();
  later.headers["retry-after"] = "30";
  EXPECT_THROW(told.failed(Failure::kMayPass, "503", later, 40), StoreError);
}

TEST(FetchTries, PatienceCountsFromTheLastNews) {
  FetchTries tries({"https://a/f"}, 60, 0);
  tries.reached(int64_t{1} << 20, 100);
  EXPECT_NO_THROW(tries.failed(Failure::kMayPass, "503", busy(), 130));
  const std::string message =
      message_of<StoreError>([&] { tries.failed(Failure::kMayPass, "503", busy(), 160); });
  EXPECT_NE(message.find("given up after 2 tries in 160.0 s, nothing new for 60 s "
                         "(data.store.patience)"),
            std::string::npos)
      << message;
}

/// A connection that breaks after every 900 kB gets on all the same.
TEST(FetchTries, NewsAddUpOverTries) {
  FetchTries tries({"https://a/f"}, 60, 0);
  for (int i = 1; i <= 20; ++i) {
    tries.reached(int64_t{900'000} * i, 25.0 * i);
    EXPECT_NO_THROW(tries.failed(Failure::kMayPass, "broken", busy(), 25.0 * i)) << i;
  }
}

TEST(FetchTries, NobodyGivesUpBeforeEachPlaceWasAsked) {
  FetchTries tries({"https://a/f", "https://b/f"}, 20, 0);
  EXPECT_EQ(tries.failed(Failure::kMayPass, "stalled", busy(), 30), 0);
  EXPECT_EQ(tries.place(), 1U);
  EXPECT_THROW(tries.failed(Failure::kMayPass, "503", busy(), 31), StoreError);
}

}  // namespace
}  // namespace phalanx
