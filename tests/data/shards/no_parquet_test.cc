// What a build without Arrow C++ says; this program is linked with its file in every build.
#include <gtest/gtest.h>

#include "data/shards/parquet_records.h"
#include "tests/data/shards/scratch.h"

namespace phalanx {
namespace {

TEST(NoParquet, SaysHowToGetIt) {
  EXPECT_EQ(message_of<std::invalid_argument>(
                [] { (void)open_parquet_records("web/part-0.parquet", {}); }),
            "web/part-0.parquet: expected a build with Arrow C++ to read Parquet, found one "
            "without: run ./launch/setup.sh, which installs pyarrow, and configure and build "
            "again");
}

}  // namespace
}  // namespace phalanx
