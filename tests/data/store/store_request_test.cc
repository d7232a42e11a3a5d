#include "data/store/store_request.h"

#include "tests/data/shards/scratch.h"

namespace phalanx {
namespace {

StoreEnvironment with_keys(const AwsKeys& keys) {
  StoreEnvironment environment;
  environment.keys = [keys] { return keys; };
  return environment;
}

const AwsKeys kKeys{"AKID", "very-secret", "token-of-the-session"};

std::string address(const StoreSettings& settings, const std::string& url) {
  return RequestMaker(settings, {}).address(parse_store_url(url));
}

TEST(StoreRequest, NamesABucketWhereTheStoreExpectsIt) {
  StoreSettings settings;
  EXPECT_EQ(address(settings, "s3://corpora/web/a b"),
            "https://corpora.s3.us-east-1.amazonaws.com/web/a%20b");
  EXPECT_EQ(address(settings, "s3://dotted.name/web"),
            "https://s3.us-east-1.amazonaws.com/dotted.name/web");
  settings.region = "eu-west-1";
  settings.addressing = S3Addressing::kPath;
  EXPECT_EQ(address(settings, "s3://corpora/web"),
            "https://s3.eu-west-1.amazonaws.com/corpora/web");
  settings.endpoint = "http://127.0.0.1:9000";
  settings.addressing = S3Addressing::kAuto;
  EXPECT_EQ(address(settings, "s3://corpora/web"), "http://127.0.0.1:9000/corpora/web");
  settings.addressing = S3Addressing::kVirtual;
  EXPECT_EQ(address(settings, "s3://corpora/web"), "http://corpora.127.0.0.1:9000/web");
  EXPECT_EQ(address(settings, "https://host/a b/%20"), "https://host/a%20b/%20");
}

TEST(StoreRequest, TheConfigurationComesBeforeTheMachine) {
  StoreEnvironment machine;
  machine.s3 = [] { return S3Defaults{"http://machine", "machine-1"}; };
  EXPECT_EQ(RequestMaker({}, machine).address(parse_store_url("s3://b/k")), "http://machine/b/k");
  StoreSettings settings;
  settings.endpoint = "http://settings";
  EXPECT_EQ(RequestMaker(settings, machine).address(parse_store_url("s3://b/k")),
            "http://settings/b/k");
  settings.endpoint = "s3://x";
  EXPECT_NE(message_of<std::invalid_argument>([&] {
              RequestMaker(settings, machine);
            }).find("data.store.endpoint"),
            std::string::npos);
}

TEST(StoreRequest, SignsForS3Only) {
  const RequestMaker maker({}, with_keys(kKeys));
  const HttpRequest s3 = maker.make(parse_store_url("s3://b/k"), {{"range", "bytes=1-"}});
  EXPECT_TRUE(s3.headers.contains("authorization"));
  EXPECT_EQ(s3.headers.at("x-amz-security-token"), kKeys.session_token);
  EXPECT_FALSE(s3.follow_redirects);
  const HttpRequest web = maker.make(parse_store_url("https://host/k"), {});
  EXPECT_TRUE(web.headers.empty());
  EXPECT_TRUE(web.follow_redirects);
  EXPECT_TRUE(RequestMaker({}, {}).make(parse_store_url("s3://b/k"), {}).headers.empty());
}

TEST(StoreRequest, KeysThatComeBackAreNotRepeated) {
  const RequestMaker maker({}, with_keys(kKeys));
  (void)maker.make(parse_store_url("s3://b/k"), {});
  EXPECT_EQ(maker.without_keys("AKID very-secret token-of-the-session 403"), "*** *** *** 403");
  EXPECT_EQ(maker.advice_on_keys(parse_store_url("s3://b/k")), ", signed for region us-east-1");
  EXPECT_NE(RequestMaker({}, {}).advice_on_keys(parse_store_url("s3://b/k")).find("no keys"),
            std::string::npos);
}

TEST(StoreRequest, KeysStayWhileTheirFileIsWritten) {
  std::function<AwsKeys()> find = [] { return kKeys; };
  StoreEnvironment machine;
  machine.keys = [&find] { return find(); };
  const RequestMaker maker({}, machine);
  const StoreUrl url = parse_store_url("s3://b/k");
  const auto signs_with = [&](const std::string& id) {
    const std::string signature = maker.make(url, {}).headers.at("authorization");
    return signature.find("Credential=" + id + "/") != std::string::npos;
  };
  EXPECT_TRUE(signs_with("AKID"));
  find = [] { return AwsKeys{}; };
  EXPECT_TRUE(signs_with("AKID"));
  find = []() -> AwsKeys { throw std::invalid_argument("credentials:3: half a file"); };
  EXPECT_TRUE(signs_with("AKID"));
  EXPECT_EQ(maker.advice_on_keys(url),
            ", signed for region us-east-1 with earlier keys: credentials:3: half a file");
  find = [] { return AwsKeys{"NEW", "new-secret", ""}; };
  EXPECT_TRUE(signs_with("NEW"));
  EXPECT_EQ(maker.advice_on_keys(url), ", signed for region us-east-1");
  EXPECT_EQ(maker.without_keys("very-secret and new-secret"), "*** and ***");
  find = []() -> AwsKeys { throw std::invalid_argument("half a file"); };
  EXPECT_THROW((void)RequestMaker({}, machine).make(url, {}), std::invalid_argument);
}

TEST(StoreRequest, WritesTheTimeAsAwsDoes) {
  EXPECT_EQ(signing_time(1369353600), "20130524T000000Z");
}

}  // namespace
}  // namespace phalanx
