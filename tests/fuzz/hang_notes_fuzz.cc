// What ranks that hang leave for the one that puts it together. Each line of an input is the note
// of a rank; whatever stands there, the notes that read give one state a rank and a report, and a
// note that is written reads back.
#include <algorithm>
#include <array>

#include "data/file.h"
#include "launch/hang_files.h"
#include "parallel/hang_report.h"
#include "tests/fuzz/fuzz.h"

namespace phalanx {

// Their source needs LibTorch.
const char* operation_name(FlightOperation operation) {
  fuzz::require(operation >= FlightOperation::kSplit && operation <= FlightOperation::kBarrier,
                "an operation has a name");
  return "operation";
}
const char* phase_text(RunPhase phase) {
  fuzz::require(phase >= RunPhase::kStart && phase <= RunPhase::kEnd, "a phase has a text");
  return "phase";
}

namespace fuzz {
namespace {

constexpr size_t kMaxNotes = 8;
constexpr int64_t kMaxBytes = int64_t{1} << 20;

/// Of notes that lie in a folder of their own, as those of a run do.
std::vector<HangNote> notes_of(std::string_view input) {
  const std::filesystem::path hangs = folder() / "hangs";
  std::filesystem::remove_all(hangs);
  std::filesystem::create_directory(hangs);
  for (size_t i = 0; i < kMaxNotes && !input.empty(); ++i) {
    const size_t end = std::min(input.find('\n'), input.size());
    spill(hangs / (std::to_string(i) + ".json"), input.substr(0, end));
    input.remove_prefix(std::min(end + 1, input.size()));
  }
  return read_hang_notes(hangs, "");
}

/// The only note of its folder, and its text.
std::pair<HangNote, std::string> written(const HangNote& note) {
  const std::filesystem::path hangs = folder() / "written";
  std::filesystem::remove_all(hangs);
  write_hang_note(hangs, note, "");
  std::string text;
  for (const auto& entry : std::filesystem::directory_iterator(hangs)) {
    if (entry.path().extension() == ".json") text = read_text(entry.path(), kMaxBytes);
  }
  std::vector<HangNote> notes = read_hang_notes(hangs, note.job);
  require(notes.size() == 1, "what is written reads back");
  return {std::move(notes.front()), std::move(text)};
}

void check(std::string_view input) {
  const std::vector<HangNote> notes = notes_of(input);
  if (notes.empty()) return;
  const std::vector<RankState> states = states_of(notes);
  require(std::adjacent_find(states.begin(), states.end(),
                             [](const auto& a, const auto& b) { return a.rank >= b.rank; }) ==
              states.end(),
          "a rank has one state");
  const HangNote& first = notes.front();
  require(!hang_report(first.rank, first.silent_seconds, states).empty(),
          "a report says something");
  for (const HangNote& note : notes) {
    const auto [again, text] = written(note);
    require(written(again).second == text, "what is written reads to the same");
  }
}

}  // namespace
}  // namespace fuzz
}  // namespace phalanx

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  phalanx::fuzz::check(phalanx::fuzz::text_of(data, size));
  return 0;
}
