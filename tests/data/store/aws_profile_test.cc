#include "data/store/aws_profile.h"

#include "tests/data/shards/scratch.h"

namespace phalanx {
namespace {

constexpr char kText[] =
    "# keys\n"
    "[default]\n"
    "aws_access_key_id = ONE\n"
    "aws_secret_access_key=with = and spaces \r\n"
    "s3 =\n"
    "  endpoint_url = nested\n"
    "\n"
    "[profile   other]  # of the lab\n"
    "; a remark\n"
    "Region = eu-west-1\n"
    "[last]\n";

TEST(AwsProfile, ReadsTheSettingsOfASection) {
  const auto settings = read_aws_section(kText, "default", "credentials");
  EXPECT_EQ(settings.at("aws_access_key_id"), "ONE");
  EXPECT_EQ(settings.at("aws_secret_access_key"), "with = and spaces");
  EXPECT_FALSE(settings.contains("endpoint_url"));
  EXPECT_EQ(read_aws_section(kText, config_section("other"), "config").at("region"), "eu-west-1");
  EXPECT_TRUE(read_aws_section(kText, "last", "credentials").empty());
  EXPECT_TRUE(read_aws_section(kText, "none", "credentials").empty());
  EXPECT_EQ(config_section("default"), "default");
  constexpr std::string_view marked = "\xEF\xBB\xBF[default]\r\nregion = r\r\n";
  EXPECT_EQ(read_aws_section(marked, "default", "config").at("region"), "r");
}

TEST(AwsProfile, NamesTheLineAndNotWhatStandsThere) {
  EXPECT_EQ(message_of<std::invalid_argument>([] {
              (void)read_aws_section("[default]\nsecret\n", "default", "~/.aws/credentials");
            }),
            "~/.aws/credentials:2: expected name = value");
  EXPECT_EQ(message_of<std::invalid_argument>(
                [] { (void)read_aws_section("[secret\n", "default", "~/.aws/credentials"); }),
            "~/.aws/credentials:1: expected a ] at the end of a section's name");
  EXPECT_THROW((void)read_aws_section("[default] secret\n", "default", "c"), std::invalid_argument);
}

}  // namespace
}  // namespace phalanx
