// Ranks that cannot meet: the later ones learn whether the first has said what they would.
#include "parallel/launch_complaint.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "tests/support/free_port.h"

namespace phalanx {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
constexpr seconds kEnough{60};

MeetingPlace place_of(int size) { return {"localhost", free_port(), size}; }

TEST(LaunchComplaint, all_later_ranks_learn_that_the_first_has_said_it) {
  const MeetingPlace place = place_of(5);
  std::atomic<int> told = 0;
  std::vector<std::thread> later;
  for (int rank = 1; rank < place.size; ++rank) {
    later.emplace_back([&] { told += first_rank_said(place, "number of ranks: ...", kEnough); });
  }
  offer_complaint(place, "number of ranks: ...", kEnough);  // until all have asked
  for (std::thread& thread : later) thread.join();
  EXPECT_EQ(told, 4);
}

TEST(LaunchComplaint, what_the_first_has_not_said_is_for_the_later_rank_to_say) {
  const MeetingPlace place = place_of(2);
  std::thread first([&] { offer_complaint(place, "device: expected cuda", kEnough); });
  EXPECT_FALSE(first_rank_said(place, "device: expected cuda, found cpu", seconds(1)));
  first.join();
}

TEST(LaunchComplaint, a_first_rank_that_has_nothing_to_say_is_waited_for_in_vain) {
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_FALSE(first_rank_said(place_of(2), "x", milliseconds(300)));
  EXPECT_FALSE(first_rank_said({}, "x", milliseconds(300)));
  EXPECT_FALSE(first_rank_said({"no-such-host.invalid", 20000, 2}, "x", milliseconds(300)));
  EXPECT_GE(std::chrono::steady_clock::now() - begin, milliseconds(900));
}

TEST(LaunchComplaint, a_first_rank_waits_no_longer_than_it_may) {
  offer_complaint(place_of(3), "x", milliseconds(200));
  offer_complaint({}, "x", kEnough);  // nowhere
  offer_complaint({"no-such-host.invalid", free_port(), 2}, "x", kEnough);
}

TEST(LaunchComplaint, another_program_at_the_port_says_something_else) {
  const MeetingPlace place = place_of(3);
  std::thread other([&] { offer_complaint(place, "HTTP/1.1 400 Bad Request", kEnough); });
  EXPECT_FALSE(first_rank_said(place, "x", seconds(1)));
  other.join();
}

}  // namespace
}  // namespace phalanx
