#include "data/store/fetch_policy.h"

#include <gtest/gtest.h>

namespace phalanx {
namespace {

HttpAnswer answer(int status, HttpEnd end = HttpEnd::kWhole) {
  HttpAnswer made;
  made.status = status;
  made.end = end;
  return made;
}

TEST(FetchPolicy, AsksAgainWhereItMayHelp) {
  for (const int status : {408, 416, 425, 429, 500, 502, 503, 504}) {
    EXPECT_TRUE(may_pass(answer(status))) << status;
  }
  for (const int status : {301, 400, 401, 403, 404, 410, 501, 505}) {
    EXPECT_FALSE(may_pass(answer(status))) << status;
  }
  EXPECT_TRUE(may_pass(answer(0, HttpEnd::kNoAnswer)));
  EXPECT_TRUE(may_pass(answer(200, HttpEnd::kBroken)));
  EXPECT_TRUE(may_pass(answer(206, HttpEnd::kStalled)));
  EXPECT_FALSE(may_pass(answer(0, HttpEnd::kHopeless)));
  EXPECT_TRUE(is_good(answer(206)));
  EXPECT_FALSE(is_good(answer(200, HttpEnd::kBroken)));
  EXPECT_FALSE(is_good(answer(204)));
  for (const int status : {403, 404, 410}) EXPECT_TRUE(says_absent(answer(status)));
  EXPECT_FALSE(says_absent(answer(401)));
}

TEST(FetchPolicy, KnowsWhenKeysAreToBlame) {
  HttpAnswer refused = answer(400);
  refused.body_start = "<Error><Code>ExpiredToken</Code></Error>";
  EXPECT_TRUE(blames_keys(refused));
  refused.body_start = "<Error><Code>AccessDenied</Code></Error>";
  EXPECT_FALSE(blames_keys(refused));
  EXPECT_FALSE(blames_keys(answer(403)));
}

TEST(FetchPolicy, WaitsLongerEachTimeButNotForEver) {
  const HttpAnswer busy = answer(503);
  EXPECT_DOUBLE_EQ(wait_seconds(1, busy, 0, 0), 0.125);
  EXPECT_NEAR(wait_seconds(1, busy, UINT64_MAX, 0), 0.25, 1e-9);
  EXPECT_DOUBLE_EQ(wait_seconds(3, busy, 0, 0), 0.5);
  EXPECT_DOUBLE_EQ(wait_seconds(100, busy, 0, 0), 10);
}

TEST(FetchPolicy, WaitsAsLongAsItIsAskedTo) {
  HttpAnswer busy = answer(429);
  busy.headers["retry-after"] = "7";
  EXPECT_DOUBLE_EQ(wait_seconds(1, busy, 0, 0), 7);
  busy.headers["retry-after"] = "Fri, 24 May 2013 00:00:30 GMT";
  EXPECT_DOUBLE_EQ(wait_seconds(1, busy, 0, 1369353600), 30);
  busy.headers["retry-after"] = "soon";
  EXPECT_DOUBLE_EQ(wait_seconds(1, busy, 0, 0), 0.125);
}

TEST(FetchPolicy, SaysWhatTheStoreAnswered) {
  HttpAnswer slow = answer(503);
  slow.body_start =
      "<?xml version=\"1.0\"?>\n<Error><Code>SlowDown</Code>"
      "<Message>Please reduce\x1b[31m your request rate.</Message></Error>";
  EXPECT_EQ(answer_text(slow), "503 SlowDown: Please reduce[31m your request rate.");
  HttpAnswer page = answer(404);
  page.body_start = "\n  no such file\nmore";
  EXPECT_EQ(answer_text(page), "404 no such file");
  HttpAnswer none = answer(0, HttpEnd::kNoAnswer);
  none.problem = "Connection refused";
  EXPECT_EQ(answer_text(none), "no answer: Connection refused");
  HttpAnswer broken = answer(200, HttpEnd::kBroken);
  broken.problem = "transfer closed";
  EXPECT_EQ(answer_text(broken), "200, then: transfer closed");
}

}  // namespace
}  // namespace phalanx
