// Where data sets lie: folders, URLs and lists of them, and what may not stand in a configuration.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "configs/field_list.h"
#include "tests/configs/example_config.h"

namespace phalanx {
namespace {

using testing::error_of;
using testing::example_yaml;
using testing::read;

constexpr char kPath[] = "data.sources.web.path=";

SourceConfig web_of(const ResolvedConfig& config) { return config.run.data.sources.front(); }

TEST(StoreFields, APathIsAFolderAUrlOrAListOfUrls) {
  EXPECT_EQ(places_of(web_of(read(example_yaml()))), std::vector<std::string>{"/data/web"});
  const ResolvedConfig config =
      read(example_yaml(), {"data.sources.web.path=[s3://b/web, 'https://h/a b']",
                            "data.store.cache_bytes=1536MiB", "data.store.patience=90s"});
  EXPECT_EQ(places_of(web_of(config)), (std::vector<std::string>{"s3://b/web", "https://h/a b"}));
  EXPECT_EQ(config.run.data.store.cache_bytes, int64_t{1536} << 20);
  EXPECT_EQ(config.run.data.store.patience_seconds, 90);
  const ResolvedConfig again = read(resolved_yaml(config));
  EXPECT_EQ(places_of(web_of(again)), places_of(web_of(config)));
  EXPECT_EQ(again.run.data.store.cache_bytes, config.run.data.store.cache_bytes);
}

TEST(StoreFields, RefusesWhatIsNoPlace) {
  const auto message = [](const std::string& path) {
    return error_of(example_yaml(), {fmt::format("{}{}", kPath, path)});
  };
  EXPECT_EQ(message("[]"),
            "command line: data.sources.web.path: expected a folder, a URL or a list of URLs, got "
            "an empty list");
  EXPECT_EQ(message("[/data/web, s3://b/web]"),
            "command line: data.sources.web.path: expected URLs in a list, got '/data/web'");
  EXPECT_NE(message("gs://b/web").find("https://, http:// or s3://, found gs://"),
            std::string::npos);
  EXPECT_NE(error_of(example_yaml(), {"data.store.cache_bytes=12"})
                .find("expected a size in bytes (64GiB, 500MB), got '12'"),
            std::string::npos);
}

TEST(StoreFields, TheWatchdogWaitsLongerThanTheStoreIsGiven) {
  const std::string url = fmt::format("{}s3://b/web", kPath);
  EXPECT_EQ(error_of(example_yaml(), {url, "data.store.patience=1h"}),
            "command line: data.store.patience: expected less than watchdog.start_timeout of "
            "1800s, which would take the wait for a hang, got 3600s");
  (void)read(example_yaml(), {url, "data.store.patience=1h", "watchdog.start_timeout=2h"});
  (void)read(example_yaml(), {url, "data.store.patience=1h", "watchdog.start_timeout=0s"});
  (void)read(example_yaml(), {"data.store.patience=1h"});  // nothing is fetched
}

TEST(StoreFields, RefusesSecretsUnsaid) {
  for (const char* url : {"https://user:hidden@h/web", "https://h/web?sig=hidden"}) {
    const std::string message = error_of(example_yaml(), {fmt::format("{}{}", kPath, url)});
    EXPECT_NE(message.find("data.sources.web.path: "), std::string::npos);
    EXPECT_EQ(message.find("hidden"), std::string::npos) << message;
  }
  EXPECT_NE(error_of(example_yaml(), {"data.store.endpoint=http://u:p@h"}), "");
  EXPECT_EQ(error_of(example_yaml(), {"data.store.endpoint=127.0.0.1:9000"}),
            "command line: data.store.endpoint: expected https://host or http://host:port, got "
            "'127.0.0.1:9000'");
}

}  // namespace
}  // namespace phalanx
