// Linked with no_curl_client.cc, as a build without libcurl is.
#include <gtest/gtest.h>

#include "data/store/open_dataset.h"
#include "tests/data/shards/scratch.h"

namespace phalanx {
namespace {

TEST(NoCurl, AUrlIsRefusedByNameWithWhatHelps) {
  const Scratch scratch;
  StoreSettings settings;
  settings.cache = scratch / "cache";
  DatasetOpener opener(settings, {}, std::make_shared<FilePool>());
  const std::string message = message_of<std::invalid_argument>(
      [&] { (void)opener.open({"https://data.example.org/web"}); });
  EXPECT_NE(message.find("https://data.example.org/web: expected a folder: "
                         "this build was made "
                         "without libcurl"),
            std::string::npos)
      << message;
  EXPECT_NE(message.find("./launch/setup.sh"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(scratch / "cache"));
}

}  // namespace
}  // namespace phalanx
