// What people see of a run: the line of a log, the panel of a terminal.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "tests/trainer/checkpoint/support.h"
#include "tests/trainer/metrics/step_sample.h"
#include "trainer/metrics/progress.h"

namespace phalanx {
namespace {

using testing::kSources;
using testing::record_of;

constexpr Pace kPace{32768, 754};

std::string plain(const std::vector<PanelLine>& lines, size_t columns) {
  std::string text;
  for (const PanelLine& line : lines) text += rendered(line, columns, false) + "\n";
  return text;
}

StepRecord with_both_kinds() {
  StepRecord record = record_of(120);
  record.result.by_source = {{8, 9}, {4, 3}};
  return record;
}

TEST(ProgressText, ShowsAllThatALineOfALogNeeds) {
  EXPECT_EQ(progress_text(with_both_kinds(), kSources, kPace),
            "step 120/200  tokens 491.5K  loss 4.2500 (organic 2.0000, synthetic 3.0000)  "
            "norm 1.500  lr 3.00e-04  32.8K tok/s  12m34s left  "
            "pretrain/reasoning: books 75.0 %, web 25.0 %");
}

TEST(ProgressText, SaysWhatIsNotAlwaysThere) {
  StepRecord record = record_of(120);
  record.data_wait_seconds = 0.125 / 3;
  record.peak_flops = 4 * 32768 * 6e6;
  record.skipped_steps = 3;
  EXPECT_CONTAINS(progress_text(record, kSources, kPace),
                  "32.8K tok/s  MFU 25.0 %  data wait 25 %  skipped 3  12m34s left");
  EXPECT_CONTAINS(progress_text(record, kSources, kPace), "(organic 2.0000, synthetic -)");
  const std::vector<CurriculumSource> of_one_kind{{"books", SourceKind::kOrganic, {}},
                                                  {"web", SourceKind::kOrganic, {}}};
  EXPECT_CONTAINS(progress_text(record, of_one_kind, kPace), "loss 4.2500  norm");
  EXPECT_EQ(data_wait_share(1, 3), 0.25);
  EXPECT_EQ(data_wait_share(0, 0), 0.0);
}

TEST(ProgressText, DurationsAndCountsAreShort) {
  EXPECT_EQ(duration_text(0.4), "0s");
  EXPECT_EQ(duration_text(119.4), "119s");
  EXPECT_EQ(duration_text(119.6), "2m00s");
  EXPECT_EQ(duration_text(7199.4), "119m59s");
  EXPECT_EQ(duration_text(7200), "2h00m");
  EXPECT_EQ(duration_text(48 * 3600), "2d00h");
  EXPECT_EQ(count_text(950), "950");
  EXPECT_EQ(count_text(12345), "12.3K");
  EXPECT_EQ(count_text(4.56e6), "4.56M");
  EXPECT_EQ(count_text(1.2e9), "1.20B");
  EXPECT_EQ(count_text(9.8e12), "9.80T");
}

TEST(ProgressText, CountsThatRoundUpTakeTheNextUnit) {
  EXPECT_EQ(count_text(999.6), "1.0K");
  EXPECT_EQ(count_text(999'960), "1.00M");
  EXPECT_EQ(count_text(999'996'000), "1.00B");
}

TEST(Panel, HasPlaceLossSpeedAndWeights) {
  StepRecord record = with_both_kinds();
  record.peak_flops = 4 * 32768 * 6e6;
  EXPECT_EQ(plain(panel_lines(record, kSources, kPace, 79), 79),
            "step 120/200  [=========================.................]  60.0 %  "
            "12m34s left\n"
            "loss 4.2500  organic 2.0000  synthetic 3.0000  norm 1.500  lr 3.00e-04\n"
            "32.8K tok/s  MFU 25.0 %  data wait 0 %  memory 0.00 GiB  tokens 491.5K/819.2K\n"
            "phase pretrain/reasoning  books 75.0 %  web 25.0 %\n");
}

TEST(Panel, FitsAnyWidthAndSaysHowManyWeightsItLeavesOut) {
  StepRecord record = record_of(120);
  std::vector<CurriculumSource> sources;
  record.source_weights.clear();
  for (int i = 0; i < 30; ++i) {
    sources.push_back({"a-source-with-a-name-" + std::to_string(i), SourceKind::kOrganic, {}});
    record.source_weights.push_back(1.0 / 30);
  }
  record.source_tokens.assign(30, 0);
  record.result.by_source = {std::vector<double>(30, 0.0), std::vector<double>(30, 0.0)};
  const std::string at_79 = plain(panel_lines(record, sources, kPace, 79), 79);
  EXPECT_CONTAINS(at_79, "and 29 more\n");
  EXPECT_CONTAINS(plain(panel_lines(record, sources, kPace, 200), 200), "and 25 more\n");
  for (const size_t columns : {1, 20, 40, 79, 200}) {
    for (const PanelLine& line : panel_lines(record, sources, kPace, columns)) {
      EXPECT_LE(rendered(line, columns, false).size(), columns);
    }
  }
}

TEST(Panel, ColoursAreThereOnlyWhenAskedFor) {
  const PanelLine line{{"loss ", Style::kLabel}, {"4.25", Style::kStrong}};
  EXPECT_EQ(rendered(line, 80, false), "loss 4.25");
  EXPECT_EQ(rendered(line, 80, true), "\x1b[2mloss \x1b[0m\x1b[1m4.25\x1b[0m");
  EXPECT_EQ(rendered(line, 6, true), "\x1b[2mloss \x1b[0m\x1b[1m4\x1b[0m");
}

TEST(Panel, IsDrawnInItsOwnPlace) {
  LivePanel panel(false);
  const std::vector<PanelLine> lines{PanelLine{Piece{"one"}}, PanelLine{Piece{"a line of more"}}};
  ::testing::internal::CaptureStderr();
  panel.set(lines);
  panel.draw({80, 24});
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "one\na line of more\n");
  ::testing::internal::CaptureStderr();
  panel.print_above("a note", {80, 24});
  EXPECT_EQ(::testing::internal::GetCapturedStderr(),
            "\x1b[2A\r\x1b[Ja note\none\na line of more\n");
  ::testing::internal::CaptureStderr();
  panel.draw({8, 24});  // the terminal was made narrower, and has folded the second line
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "\x1b[3A\r\x1b[Jone\na line \n");
  ::testing::internal::CaptureStderr();
  panel.draw({80, 2});  // no room for the second one
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "\x1b[1A\r\x1b[Jone\n");
}

std::string shown(const ProgressOptions& options, bool with_note = false) {
  ::testing::internal::CaptureStderr();
  Progress progress(options, kSources);
  StepRecord record = record_of(1);
  record.validation["web"] = {2.5, 1.25, 12};
  progress.show(record);
  progress.show(record_of(2));
  if (with_note) progress.note("a note");
  return ::testing::internal::GetCapturedStderr();
}

TEST(Progress, LinesComeAtTheIntervalAndAreNeverEscaped) {
  ProgressOptions options;
  const std::string slow = shown(options);
  EXPECT_EQ(std::count(slow.begin(), slow.end(), '\n'), 2) << slow;  // the second step is not due
  EXPECT_CONTAINS(slow, "\nstep 1  validation web  loss 2.5000  bits per byte 1.2500\n");
  EXPECT_EQ(slow.find('\x1b'), std::string::npos);
  options.interval = std::chrono::milliseconds(0);
  const std::string each = shown(options);
  EXPECT_EQ(std::count(each.begin(), each.end(), '\n'), 3) << each;
}

TEST(Progress, ANoteDrawsAPanelThatWasNotDueYet) {
  ProgressOptions options;
  options.style = ProgressStyle::kPanel;
  const std::string drawn = shown(options, true);
  const size_t note = drawn.find("a note\n");
  EXPECT_EQ(drawn.find("step 2/200"), drawn.find("step 2/200", note));
  EXPECT_NE(drawn.find("step 2/200", note), std::string::npos) << drawn;
}

TEST(Progress, WithoutAStyleOnlyNotesAreLeft) {
  ProgressOptions options;
  options.style = ProgressStyle::kNone;
  EXPECT_EQ(shown(options, true), "a note\n");
}

}  // namespace
}  // namespace phalanx
