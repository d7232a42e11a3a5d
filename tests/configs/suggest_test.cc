// Distances, nearest names and names from elsewhere.
#include "configs/suggest.h"

#include <gtest/gtest.h>

namespace phalanx {
namespace {

TEST(Suggest, DistanceCountsEachEditOnce) {
  EXPECT_EQ(edit_distance("", ""), 0u);
  EXPECT_EQ(edit_distance("abc", ""), 3u);
  EXPECT_EQ(edit_distance("max_epoch", "max_epochs"), 1u);
  EXPECT_EQ(edit_distance("beta3", "beta1"), 1u);
  EXPECT_EQ(edit_distance("weigth_decay", "weight_decay"), 1u);  // a swap of neighbours
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
}

TEST(Suggest, NearestTakesTheFirstOfEqualsAndNothingFar) {
  EXPECT_EQ(nearest("beta3", {"epsilon", "beta1", "beta2"}), "beta1");
  EXPECT_EQ(nearest("xyz", {"sequence_length", "name"}), std::nullopt);
  EXPECT_EQ(nearest("name", {}), std::nullopt);
  EXPECT_EQ(nearest(std::string(100'000, 'x'), {"name"}), std::nullopt);
}

TEST(Suggest, NamesOfOtherFrameworksAreTranslated) {
  EXPECT_EQ(hint_for_foreign_name("lr"), "did you mean 'learning_rate.peak'?");
  EXPECT_EQ(hint_for_foreign_name("batch_size_per_gpu"), "did you mean 'micro_batch_size'?");
  EXPECT_EQ(hint_for_foreign_name("seq_len"), "did you mean 'sequence_length'?");
  EXPECT_EQ(hint_for_foreign_name("peak"), std::nullopt);
}

TEST(Suggest, ASecondLengthIsExplained) {
  EXPECT_EQ(hint_for_foreign_name("max_steps"), "a run's length is the sum of its phases' tokens");
}

}  // namespace
}  // namespace phalanx
