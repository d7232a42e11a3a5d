// The whole pass of what loader_test.cc samples.
#include "tests/data/mixture/restart_property.h"

namespace phalanx {
namespace {

TEST(BatchLoaderSlow, ThousandsOfRandomCurriculaGiveTheSameIdsAtAnyReplicasThroughAnyRestarts) {
  int64_t compared = 0;
  for (uint64_t seed = 1000; seed < 4000; ++seed) compared += testing::check_restarts(seed);
  EXPECT_GT(compared, 2000);
}

}  // namespace
}  // namespace phalanx
