#include "launch/same_start.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "parallel/agreement.h"
#include "tests/support/ranks.h"

namespace phalanx {
namespace {

std::vector<StartMarks> four_ranks() {
  std::vector<StartMarks> ranks;
  for (int rank = 0; rank < 4; ++rank) {
    const bool first = rank % 2 == 0;
    ranks.push_back({rank < 2 ? "a" : "b",
                     first ? "p1" : "",
                     "c1",
                     {"data.tokenizer=t1", "data.sources.web=d1"}});
  }
  return ranks;
}

TEST(SameStart, equal_marks_are_no_difference) {
  EXPECT_EQ(start_differences(four_ranks(), {}), "");
}

TEST(SameStart, a_program_of_another_host_is_named_with_both_hashes) {
  std::vector<StartMarks> ranks = four_ranks();
  ranks[2].program = "p2";
  EXPECT_EQ(start_differences(ranks, {}),
            "\n  program: expected the same phalanx on all hosts, found p1 on rank 0 (a), p2 on "
            "rank 2 (b) (XXH3 of the file): copy one build to all of them");
}

TEST(SameStart, a_configuration_is_named_with_its_first_field) {
  std::vector<StartMarks> ranks = four_ranks();
  ranks[2].config = ranks[3].config = "c2";
  const std::string line = first_difference("a: 1\ndata.seed: 2\n", "a: 1\ndata.seed: 1\n");
  EXPECT_EQ(line, "'data.seed: 2' where rank 0 has 'data.seed: 1'");
  EXPECT_EQ(start_differences(ranks, {"", "", line, line}),
            "\n  configuration: expected the same on all ranks, found c1 on rank 0 (a), c2 on "
            "ranks 2-3 (b); rank 2 has 'data.seed: 2' where rank 0 has 'data.seed: 1': give all "
            "hosts the same file and overrides");
}

TEST(SameStart, fields_that_only_one_has_differ_too) {
  EXPECT_EQ(first_difference("a: 1\n", "a: 1\nb: 2\n"), "'nothing' where rank 0 has 'b: 2'");
  EXPECT_EQ(first_difference("a: 1\n", "a: 1\n"), "");
}

TEST(SameStart, data_are_named_by_source) {
  std::vector<StartMarks> ranks = four_ranks();
  ranks[3].data[1] = "data.sources.web=d2";
  ranks[1].data.emplace_back("data.sources.web.mask_documents=m");
  const std::string text = start_differences(ranks, {});
  EXPECT_NE(text.find("data: expected the same on all ranks, found data.sources.web=d1 on rank 0 "
                      "(a), data.sources.web=d2 on rank 3 (b)"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("found nothing on rank 0 (a), data.sources.web.mask_documents=m on rank 1"),
            std::string::npos)
      << text;
}

TEST(SharedGpus, two_ranks_on_one_gpu_of_a_host_are_named) {
  EXPECT_EQ(shared_gpus({{"a", "0000:1b:00.0"}, {"a", "0000:1c:00.0"}, {"b", "0000:1b:00.0"}}), "");
  EXPECT_EQ(shared_gpus({{"a", ""}, {"a", ""}}), "");
  EXPECT_EQ(shared_gpus({{"a", "0000:1b:00.0"}, {"b", "0000:1b:00.0"}, {"a", "0000:1b:00.0"}}),
            "\n  host a: GPU 0000:1b:00.0 is that of ranks 0, 2");
}

// The variable that lets ranks share may be set on one host only: its ranks meet the others all the
// same, which would wait for them in vain.
TEST(SharedGpus, ranks_that_may_share_take_part_with_those_that_may_not) {
  run_ranks(4, [](Communicator& control) {
    const int rank = control.rank();
    EXPECT_NO_THROW(check_own_gpus(
        control, [&] { return rank < 2 ? std::string() : "0000:1b:00." + std::to_string(rank); }));
    try {
      check_own_gpus(control, [&] { return rank < 2 ? std::string() : "0000:1b:00.0"; });
      ADD_FAILURE() << "rank " << rank << " was not told";
    } catch (const AgreedError& error) {
      EXPECT_NE(std::string(error.what()).find("GPU 0000:1b:00.0 is that of ranks 2-3"),
                std::string::npos)
          << error.what();
    }
  });
}

TEST(SharedGpus, a_gpu_that_one_rank_cannot_ask_for_is_an_error_of_all) {
  run_ranks(2, [](Communicator& control) {
    EXPECT_THROW(check_own_gpus(control,
                                [&]() -> std::string {
                                  if (control.rank() == 1) throw std::runtime_error("no driver");
                                  return "0000:1b:00.0";
                                }),
                 AgreedError);
  });
}

}  // namespace
}  // namespace phalanx
