#include "launch/store_environment.h"

#include <map>

#include "tests/data/shards/scratch.h"

namespace phalanx {
namespace {

using Variables = std::map<std::string, std::string>;

StoreEnvironment environment_of(const Variables& variables) {
  return store_environment([variables](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  });
}

class StoreEnvironmentTest : public testing::Test {
 protected:
  StoreEnvironmentTest() {
    spill(scratch_ / ".aws/credentials",
          "[default]\naws_access_key_id = D\naws_secret_access_key = d\n"
          "[lab]\naws_access_key_id = L\naws_secret_access_key = "
          "l\naws_session_token = t\n"
          "[broken]\naws_access_key_id = B\n");
    spill(scratch_ / ".aws/config",
          "[default]\nregion = here-1\n[profile lab]\nregion = "
          "lab-1\nendpoint_url = http://lab\n");
    home_ = {{"HOME", scratch_.folder().string()}};
  }
  Variables with(const Variables& more) const {
    Variables all = home_;
    all.insert(more.begin(), more.end());
    return all;
  }
  Scratch scratch_;
  Variables home_;
};

TEST_F(StoreEnvironmentTest, VariablesComeBeforeFiles) {
  const auto found = environment_of(with({{"AWS_ACCESS_KEY_ID", "V"},
                                          {"AWS_SECRET_ACCESS_KEY", "v"},
                                          {"AWS_REGION", "var-1"},
                                          {"AWS_ENDPOINT_URL", "http://all"},
                                          {"AWS_ENDPOINT_URL_S3", "http://s3"},
                                          {"AWS_CA_BUNDLE", "/ca"},
                                          {"TMPDIR", "/scratch"}}));
  EXPECT_EQ(found.keys().access_key_id, "V");
  EXPECT_EQ(found.keys().secret_access_key, "v");
  EXPECT_EQ(found.s3().region, "var-1");
  EXPECT_EQ(found.s3().endpoint, "http://s3");
  EXPECT_EQ(found.ca_file, "/ca");
  EXPECT_EQ(found.temporary_folder, "/scratch");
}

TEST_F(StoreEnvironmentTest, FilesGiveTheProfile) {
  EXPECT_EQ(environment_of(home_).keys().access_key_id, "D");
  EXPECT_EQ(environment_of(home_).s3().region, "here-1");
  const auto lab = environment_of(with({{"AWS_PROFILE", "lab"}}));
  EXPECT_EQ(lab.keys().session_token, "t");
  EXPECT_EQ(lab.s3().region, "lab-1");
  EXPECT_EQ(lab.s3().endpoint, "http://lab");
  EXPECT_TRUE(environment_of({}).keys().empty());
  EXPECT_EQ(environment_of({}).temporary_folder, "/var/tmp");
}

TEST_F(StoreEnvironmentTest, KeysAreReadAnewEachTime) {
  const auto found = environment_of(home_);
  EXPECT_EQ(found.keys().access_key_id, "D");
  spill(scratch_ / ".aws/credentials",
        "[default]\naws_access_key_id = NEW\naws_secret_access_key = new\n");
  EXPECT_EQ(found.keys().access_key_id, "NEW");
}

TEST_F(StoreEnvironmentTest, FilesAreReadWhenTheyAreNeeded) {
  spill(scratch_ / ".aws/config", "[default\n");
  const auto found = environment_of(home_);  // a run without s3:// never looks
  EXPECT_EQ(found.keys().access_key_id, "D");
  EXPECT_THROW((void)found.s3(), std::invalid_argument);
}

TEST_F(StoreEnvironmentTest, NamesWhatIsMissing) {
  const auto message = [&](const Variables& more) {
    return message_of<std::invalid_argument>([&] { (void)environment_of(with(more)).keys(); });
  };
  EXPECT_NE(message({{"AWS_PROFILE", "none"}}).find("AWS_PROFILE: expected a section [none]"),
            std::string::npos);
  EXPECT_NE(message({{"AWS_PROFILE", "broken"}}).find("[broken]: expected aws_access_key_id and"),
            std::string::npos);
  EXPECT_NE(message({{"AWS_SECRET_ACCESS_KEY", "x"}}).find("found only the second"),
            std::string::npos);
}

}  // namespace
}  // namespace phalanx
