// Runs the cases of one test executable. Exit code: GoogleTest's own, or 77 when there were cases
// and each was skipped, which ctest counts as a skip and not as a pass.
#include <gtest/gtest.h>

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  const int failed = RUN_ALL_TESTS();
  const testing::UnitTest& cases = *testing::UnitTest::GetInstance();
  const bool all_skipped =
      cases.test_to_run_count() > 0 && cases.skipped_test_count() == cases.test_to_run_count();
  return failed == 0 && all_skipped ? 77 : failed;
}
