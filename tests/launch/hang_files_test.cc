// Notes of ranks that hang: written and read back; what is damaged is left out.
#include "launch/hang_files.h"

#include <gtest/gtest.h>

#include <fstream>
#include <limits>
#include <sstream>

#include "tests/trainer/checkpoint/support.h"

namespace phalanx {
namespace {

HangNote some_note() {
  RankState rank{3, "node1", 4003, FlightSnapshot{}, 90'000'000'000, "stopped"};
  rank.last->phase = RunPhase::kTrain;
  rank.last->step = 8;
  rank.last->progress_ns = 30'000'000'000;
  rank.last->groups = {{"dp", {1, 3}}};
  rank.last->last_numbers = {402};
  rank.last->recent = {{FlightOperation::kAllReduce, 0, 402, 4096, 29'000'000'000, 0}};
  return {"job", 3, 60.25, {rank}};
}

std::string text_of(const std::filesystem::path& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

TEST(HangFiles, ANoteReadsBack) {
  const TemporaryFolder folder;
  write_hang_note(folder.path() / "first", some_note(), "stacks");
  const std::vector<HangNote> notes = read_hang_notes(folder.path() / "first", "job");
  ASSERT_EQ(notes.size(), 1u);
  write_hang_note(folder.path() / "second", notes[0], "stacks");
  for (const char* name : {"rank-00003.json", "rank-00003.txt"}) {
    EXPECT_EQ(text_of(folder.path() / "first" / name), text_of(folder.path() / "second" / name));
  }
  EXPECT_TRUE(read_hang_notes(folder.path() / "first", "another").empty());
}

TEST(HangFiles, ANumberThatIsNoneLeavesItsNoteOut) {
  const TemporaryFolder folder;
  write_hang_note(folder.path(), some_note(), "");
  const std::filesystem::path path = folder.path() / "rank-00003.json";
  const std::string good = text_of(path);
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    text.replace(text.find(from), from.size(), to);
    std::ofstream(path) << text;
    return read_hang_notes(folder.path(), "").size();
  };
  EXPECT_EQ(with("\"step\":8", "\"step\":9"), 1u);
  for (const char* bad : {"1e300", "-1", "18446744073709551615", "8.5", "\"8\"", "null"}) {
    EXPECT_EQ(with("\"step\":8", std::string("\"step\":") + bad), 0u) << bad;
    EXPECT_EQ(with("\"now_ns\":90000000000", std::string("\"now_ns\":") + bad), 0u) << bad;
    EXPECT_EQ(with("\"pid\":4003", std::string("\"pid\":") + bad), 0u) << bad;
  }
  EXPECT_EQ(with("[402]", "402"), 0u);
}

TEST(HangFiles, AGroupThatASnapshotDoesNotHaveYetIsNamedByItsNumber) {
  RankState rank = some_note().ranks[0];
  rank.last->recent[0].group = 7;
  EXPECT_NE(history_text(rank).find("all_reduce #402 of group 7"), std::string::npos);
}

}  // namespace
}  // namespace phalanx
