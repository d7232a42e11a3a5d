// Who is missing, from made-up states of ranks: the rule that names one rank of many.
#include "parallel/hang_report.h"

#include <gtest/gtest.h>

#include <random>

namespace phalanx {
namespace {

constexpr int64_t kNow = 100'000'000'000;

/// Ranks of one group that have all done the same `count` collectives.
class Ranks {
 public:
  explicit Ranks(int size) {
    std::vector<int> members;
    for (int rank = 0; rank < size; ++rank) members.push_back(rank);
    for (int rank = 0; rank < size; ++rank) {
      RankState state{rank, "host" + std::to_string(rank / 2), 100 + rank, FlightSnapshot{}, kNow,
                      ""};
      state.last->phase = RunPhase::kTrain;
      state.last->step = 3;
      state.last->groups.push_back({"dp", members});
      state.last->last_numbers.push_back(0);
      states.push_back(state);
    }
  }

  void add(int rank, FlightOperation operation, int64_t bytes, bool open) {
    FlightSnapshot& last = *states[size_t(rank)].last;
    const int64_t number = ++last.last_numbers[0];
    last.recent.push_back(
        {operation, 0, number, bytes, kNow - 60'000'000'000, open ? 0 : kNow - 59'000'000'000});
    if (last.recent.size() > 64) last.recent.erase(last.recent.begin());
    last.progress_ns = kNow - 60'000'000'000;
  }
  void all(FlightOperation operation, int64_t bytes, bool open = false) {
    for (const RankState& state : states) add(state.rank, operation, bytes, open);
  }

  std::vector<RankState> states;
};

TEST(HangReport, ARankThatDidNotComeIsMissing) {
  Ranks ranks(4);
  ranks.all(FlightOperation::kAllGather, 64);
  for (const int rank : {0, 1, 3}) ranks.add(rank, FlightOperation::kAllReduce, 20'000, true);
  EXPECT_EQ(missing_ranks(ranks.states), std::vector<int>{2});
  EXPECT_FALSE(first_mismatch(ranks.states).has_value());
  EXPECT_EQ(hang_report(0, 60, ranks.states),
            "rank 0 on host0 has made no progress for 60.0 s in all_reduce #2 of dp (20.0 KB); "
            "missing: rank 2 (host1)\n"
            "  rank 2 (host1, process 102): training, step 3: in no collective, last all_gather #1 "
            "of dp (64 bytes), silent for 60.0 s\n"
            "  ranks 0-1, 3 (hosts host0, host1): training, step 3: waits in all_reduce #2 of dp "
            "(20.0 KB), silent for 60.0 s");
}

// Ranks 0 and 1 of host0 and 2 and 3 of host1, as a link that is cut leaves them.
TEST(HangReport, RanksThatDoTheSameShareALineThatNamesTheirHosts) {
  Ranks ranks(4);
  ranks.all(FlightOperation::kAllReduce, 64, true);
  const std::string report = hang_report(0, 60, ranks.states);
  EXPECT_NE(report.find("\n  ranks 0-3 (hosts host0, host1): "), std::string::npos) << report;
  for (RankState& state : ranks.states) state.host = "node" + std::to_string(state.rank);
  ranks.states.push_back(ranks.states.back());
  ranks.states.back().rank = 4;
  ranks.states.back().host = "node4";
  const std::string many = hang_report(0, 60, ranks.states);
  EXPECT_NE(many.find("ranks 0-4 (hosts node0, node1, node2, node3 and 1 more)"), std::string::npos)
      << many;
}

TEST(HangReport, AProcessThatIsStoppedInACollectiveIsTheCause) {
  Ranks ranks(4);
  ranks.all(FlightOperation::kAllReduce, 64, true);
  ranks.states[3].process = "stopped";
  EXPECT_EQ(missing_ranks(ranks.states), std::vector<int>{3});
  EXPECT_NE(hang_report(0, 60, ranks.states).find("missing: rank 3 (host1, stopped)"),
            std::string::npos);
}

TEST(HangReport, ARankOfAnotherHostThatNobodyHeardOfIsMissing) {
  Ranks ranks(4);
  ranks.all(FlightOperation::kAllReduce, 64, true);
  ranks.states[2].last.reset();
  EXPECT_EQ(missing_ranks(ranks.states), std::vector<int>{2});
}

// 0 and 1 share tp, 1 and 3 share dp: 0 waits for 1, which waits for 3.
TEST(HangReport, OneWhoWaitsItselfIsNotTheCause) {
  Ranks ranks(4);
  for (RankState& state : ranks.states) {
    const int rank = state.rank;
    state.last->groups = {{"tp", {rank / 2 * 2, rank / 2 * 2 + 1}},
                          {"dp", {rank % 2, rank % 2 + 2}}};
    state.last->last_numbers = {5, 5};
  }
  const auto wait_in = [&](int rank, int group) {
    FlightSnapshot& last = *ranks.states[size_t(rank)].last;
    last.recent.push_back(
        {FlightOperation::kAllReduce, group, ++last.last_numbers[size_t(group)], 64, kNow - 1, 0});
  };
  wait_in(0, 0);
  wait_in(1, 1);
  EXPECT_EQ(missing_ranks(ranks.states), std::vector<int>{3});
}

TEST(HangReport, ARankThatLeavesOneOutIsNamedWithIt) {
  std::mt19937 numbers(11);
  for (int round = 0; round < 200; ++round) {
    const int size = 2 + static_cast<int>(numbers() % 4);
    const int wrong = static_cast<int>(numbers() % static_cast<unsigned>(size));
    const int skipped = 20 + static_cast<int>(numbers() % 20);
    const int end = skipped + 3 + static_cast<int>(numbers() % 10);
    Ranks ranks(size);
    std::vector<std::pair<FlightOperation, int64_t>> calls;
    for (int i = 0; i <= end; ++i) {
      calls.push_back(
          {static_cast<FlightOperation>(1 + numbers() % 5), 8 * (1 + numbers() % 1000)});
    }
    for (int i = 0; i < end; ++i) {
      for (int rank = 0; rank < size; ++rank) {
        const size_t call = size_t(rank == wrong && i >= skipped ? i + 1 : i);
        ranks.add(rank, calls[call].first, calls[call].second, i == end - 1);
      }
    }
    const auto found = first_mismatch(ranks.states);
    ASSERT_TRUE(found.has_value());
    EXPECT_EQ(found->ranks, std::vector<int>{wrong}) << size << " ranks, round " << round;
    EXPECT_EQ(found->number, skipped + 1);
    EXPECT_EQ(found->expected.operation, calls[size_t(skipped)].first);
    EXPECT_TRUE(found->skipped);
    EXPECT_EQ(missing_ranks(ranks.states), std::vector<int>{wrong});
    EXPECT_NE(hang_report(0, 1, ranks.states).find("left out"), std::string::npos);
  }
}

TEST(HangReport, ManyRanksThatDoTheSameShareALine) {
  Ranks ranks(2000);
  ranks.all(FlightOperation::kAllGather, 64);
  for (int rank = 0; rank < 2000; ++rank) {
    if (rank != 1234) ranks.add(rank, FlightOperation::kAllReduce, 4096, true);
  }
  const std::string text = hang_report(0, 60, ranks.states);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2);
  EXPECT_NE(text.find("ranks 0-1233, 1235-1999"), std::string::npos);
}

}  // namespace
}  // namespace phalanx
