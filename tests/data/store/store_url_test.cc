#include "data/store/store_url.h"

#include "tests/data/shards/scratch.h"

namespace phalanx {
namespace {

TEST(StoreUrl, ReadsItsParts) {
  const StoreUrl url = parse_store_url("https://data.example.org:8443/corpora/web/");
  EXPECT_EQ(url, (StoreUrl{"https", "data.example.org:8443", "/corpora/web"}));
  EXPECT_EQ(url.below("train").below("dataset.json").text(),
            "https://data.example.org:8443/corpora/web/train/dataset.json");
  EXPECT_EQ(parse_store_url("s3://bucket"), (StoreUrl{"s3", "bucket", ""}));
  EXPECT_EQ(parse_store_url("http://[::1]:9000/a").authority, "[::1]:9000");
  EXPECT_TRUE(is_store_url("gs://bucket"));
  EXPECT_FALSE(is_store_url("/data/web:2024"));
}

TEST(StoreUrl, RefusesWhatItDoesNotKnow) {
  const auto message = [](const std::string& text) {
    return message_of<std::invalid_argument>([&] { (void)parse_store_url(text); });
  };
  EXPECT_NE(message("gs://bucket/web").find("https://, http:// or s3://, found gs://"),
            std::string::npos);
  EXPECT_NE(message("https:///web").find("expected a host"), std::string::npos);
  EXPECT_NE(message("s3://").find("expected a bucket"), std::string::npos);
}

TEST(StoreUrl, RefusesSecretsWithoutSayingThem) {
  for (const char* text :
       {"https://user:hidden@host/web", "https://host/web?sig=hidden", "s3://b/k#hidden",
        "https://us er:hidden@host/web", "https://user:hidden@host/x?y",
        "ftp://user:hidden@host/web", "HTTPS://user:hidden@host/web",
        "https://user:hid/hidden@host/web", "https://host?sig=hidden"}) {
    const std::string message =
        message_of<std::invalid_argument>([&] { (void)parse_store_url(text); });
    EXPECT_NE(message.find("expected"), std::string::npos);
    EXPECT_EQ(message.find("hidden"), std::string::npos) << message;
  }
}

TEST(StoreUrl, EncodesWhatCannotStandInAPath) {
  EXPECT_EQ(percent_encoded("/a b/\xc3\xa4+~", true), "/a%20b/%C3%A4%2B~");
  EXPECT_EQ(percent_encoded("a/b", false), "a%2Fb");
}

}  // namespace
}  // namespace phalanx
