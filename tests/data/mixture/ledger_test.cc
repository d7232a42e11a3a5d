#include "data/mixture/ledger.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <tuple>

#include "data/mixture/resume.h"
#include "tests/data/mixture/fake_source.h"

namespace phalanx {
namespace {

using testing::small_setup;
using testing::TestRun;

Cursor cursor_after(const PlannedRun& run, int64_t step) {
  RowSchedule schedule(run.plan);
  return cursor_at(schedule, run.cursor, step);
}

Cursor cursor_of(const TestRun& setup, int64_t step) {
  return cursor_after(begin_run(setup.curriculum(), setup.sources), step);
}

std::string error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "no error";
}

std::string resume_error(const TestRun& setup, const Cursor& cursor,
                         CurriculumFrom from = CurriculumFrom::kStart) {
  return error_of([&] { (void)resume_run(setup.curriculum(), setup.sources, cursor, from); });
}

// Adds what steps [from, to) of a run really draw.
void count_draws(const PlannedRun& run, int64_t from, int64_t to, StreamCounts& counts) {
  RowSchedule schedule(run.plan);
  for (int64_t step = from; step < to; ++step) {
    const auto stage = static_cast<size_t>(run.plan->step_rows(step).stage);
    for (const RowDraw& row : schedule.step(step)) {
      const std::string& name = run.plan->sources[static_cast<size_t>(row.source)].name;
      int64_t& count = counts[name][run.plan->curriculum.stages[stage].sequence_length];
      ++count;
    }
  }
}

TEST(Ledger, ACursorReadsBackFromItsJsonAsItWas) {
  const PlannedRun run = begin_run(small_setup().curriculum(), small_setup().sources);
  RowSchedule schedule(run.plan);
  Cursor cursor = cursor_at(schedule, run.cursor, 7);
  cursor = skip_steps(schedule, cursor, 2);
  cursor = skip_steps(schedule, cursor, 1);
  EXPECT_EQ(cursor.segments[0].skipped, (std::vector<std::pair<int64_t, int64_t>>{{448, 640}}));
  EXPECT_EQ(cursor_from_json(nlohmann::json::parse(cursor_to_json(cursor).dump()), "x"), cursor);
}

TEST(Ledger, ADamagedCursorIsRefusedWithTheNameOfTheKey) {
  const nlohmann::json good = cursor_to_json(cursor_of(small_setup(), 7));
  const auto error_with = [&](const std::function<void(nlohmann::json&)>& change) {
    nlohmann::json bad = good;
    change(bad);
    return error_of([&] { (void)cursor_from_json(bad, "state.json: ledger"); });
  };
  EXPECT_EQ(error_with([](auto& j) { j["row"] = -1; }),
            "state.json: ledger.row: expected an integer of at least 0, found -1");
  EXPECT_EQ(error_with([](auto& j) { j["rows"] = 1; }),
            "state.json: ledger.rows: expected no such key, found 1");
  EXPECT_EQ(error_with([](auto& j) { j.erase("seed"); }),
            "state.json: ledger.seed: expected a value, found none");
  EXPECT_EQ(error_with([](auto& j) { j["version"] = 2; }),
            "state.json: ledger.version: expected 1, found 2");
  EXPECT_EQ(error_with([](auto& j) { j["taken"][0]["rows"] = "9"; }),
            "state.json: ledger.taken[0].rows: expected an integer of at least 0, found \"9\"");
  EXPECT_EQ(error_with([](auto& j) { j["taken"][1] = j["taken"][0]; })
                .substr(0, std::string("state.json: ledger.taken[1]: expected each source and "
                                       "length above 0 once, found {\"")
                               .size()),
            "state.json: ledger.taken[1]: expected each source and length above 0 once, found {\"");
  EXPECT_EQ(
      error_with([](auto& j) { j["taken"][0]["rows"] = 1; })
          .substr(
              0,
              std::string("state.json: ledger.taken: expected counts that grew by the 4").size()),
      "state.json: ledger.taken: expected counts that grew by the 4");
  EXPECT_EQ(
      error_with([](auto& j) { j["segments"][0]["plan_hash"] = "12"; }),
      "state.json: ledger.segments[0].plan_hash: expected 16 hexadecimal digits, found \"12\"");
}

TEST(Resume, AChangedScheduleBeforeTheCursorNamesThePhase) {
  const Cursor early = cursor_of(small_setup(), 5);
  const Cursor late = cursor_of(small_setup(), 15);
  TestRun changed = small_setup();
  changed.stages[0].phases[1].mix = {{"web", 0.3}, {"code", 0.4}, {"books", 0.3}};
  EXPECT_EQ(resume_error(changed, early), "no error");
  EXPECT_EQ(resume_error(changed, late)
                .substr(0, std::string(
                               "stages[0].phases[1]: expected the schedule that the run followed ")
                               .size()),
            "stages[0].phases[1]: expected the schedule that the run followed ");
  EXPECT_EQ(resume_error(changed, late, CurriculumFrom::kResume), "no error");
  changed = small_setup();
  changed.stages[0].phases[0].mix[0].weight = 0.65;
  EXPECT_EQ(resume_error(changed, late).substr(0, std::string("stages[0].phases[0]:").size()),
            "stages[0].phases[0]:");
  changed = small_setup();
  changed.stages[0].global_batch_size = 32;
  EXPECT_EQ(resume_error(changed, early)
                .substr(0, std::string("stages: expected step 5 to begin a").size()),
            "stages: expected step 5 to begin a");
  EXPECT_EQ(resume_error(changed, early, CurriculumFrom::kResume), "no error");
}

TEST(Resume, AnotherSeedOrOtherDataOfASourceInUseIsAlwaysAnError) {
  const Cursor cursor = cursor_of(small_setup(), 5);
  for (CurriculumFrom from : {CurriculumFrom::kStart, CurriculumFrom::kResume}) {
    TestRun changed = small_setup();
    changed.data.seed = 78;
    EXPECT_EQ(resume_error(changed, cursor, from),
              "data.seed: expected 77, with which the ledger was begun, found 78");
    changed = small_setup();
    changed.sources[2].fingerprint = "new";
    EXPECT_EQ(
        resume_error(changed, cursor, from)
            .substr(0,
                    std::string(
                        "data.sources.web: expected the data with fingerprint data of web, of wh")
                        .size()),
        "data.sources.web: expected the data with fingerprint data of web, of wh");
  }
}

TEST(Resume, DataThatWouldBeReadInAnotherWayNamesTheSetting) {
  const auto error = [](const std::string& old, const std::string& now) {
    TestRun setup = small_setup();
    setup.sources[2].fingerprint = old;
    const Cursor cursor = cursor_of(setup, 5);
    setup.sources[2].fingerprint = now;
    const std::string text = resume_error(setup, cursor);
    return text.substr(0, text.find(": put it back"));
  };
  const std::string ledger = ", with which the ledger counts rows of source web, found ";
  EXPECT_EQ(error("f", "f/bins-6:12"), "data.packing: expected windows" + ledger + "best_fit");
  EXPECT_EQ(error("f/bins-6:12", "f"), "data.packing: expected best_fit" + ledger + "windows");
  EXPECT_EQ(error("f", "f/shuffle_window:8"),
            "data.sources.web.shuffle_window: expected 0" + ledger + "8");
  EXPECT_EQ(error("f/last_tokens:100/shuffle_window:8", "f/shuffle_window:8"),
            "data.sources.web.validation.last_tokens: expected 100" + ledger + "0");
  // Other data in the first place, or other bins of it: restore them.
  for (const auto& [old, now] :
       {std::pair{"f/shuffle_window:8", "g"}, {"f/bins-6:1", "f/bins-6:2"}}) {
    const std::string text = error(old, now);
    EXPECT_EQ(text.substr(0, text.find(" found")),
              fmt::format("data.sources.web: expected the data with fingerprint {}, of which the "
                          "ledger counts rows,",
                          old));
  }
}

// Random changes of curriculum at random steps, forks among them: the ledger must equal a count of
// the rows that were really drawn, and no stream may repeat or skip a draw.
TEST(Resume, ChangedCurriculaAndForksKeepAnExactLedger) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    testing::Dice dice(seed);
    TestRun setup = testing::random_setup(seed, true);
    PlannedRun run = begin_run(setup.curriculum(), setup.sources);
    StreamCounts counted;
    for (int change = 0; change < 4; ++change) {
      const int64_t stop = dice.between(run.cursor.step, run.plan->end_step());
      count_draws(run, run.cursor.step, stop, counted);
      const Cursor cursor = cursor_after(run, stop);
      ASSERT_EQ(cursor.taken, counted) << "seed " << seed;
      const auto num_sources = static_cast<int64_t>(setup.data.sources.size());
      for (StageRows& stage : setup.stages) {
        stage.global_batch_size = dice.between(1, 30);
        stage.batch_ramp.clear();
        for (PhaseConfig& phase : stage.phases) phase.mix = testing::random_mix(dice, num_sources);
      }
      run = dice.between(0, 3) == 0
                ? begin_run(setup.curriculum(), setup.sources, &cursor)
                : resume_run(setup.curriculum(), setup.sources, cursor, CurriculumFrom::kResume);
      ASSERT_EQ(run.cursor.taken, counted);
      if (run.cursor.step == run.plan->end_step()) continue;
      RowSchedule schedule(run.plan);  // the next draw of each stream is the one after the last
      std::map<int32_t, int64_t> first;
      const auto stage = static_cast<size_t>(run.plan->step_rows(run.cursor.step).stage);
      for (const RowDraw& row : schedule.step(run.cursor.step)) {
        auto [at, added] = first.emplace(row.source, row.draw);
        at->second = std::min(at->second, row.draw);
      }
      for (const auto& [k, draw] : first) {
        ASSERT_EQ(draw, counted[run.plan->sources[static_cast<size_t>(k)].name]
                               [run.plan->curriculum.stages[stage].sequence_length]);
      }
      for (auto& source : counted)
        std::erase_if(source.second, [](const auto& s) { return s.second == 0; });
      std::erase_if(counted, [](const auto& source) { return source.second.empty(); });
    }
  }
}

// `curriculum_from: resume` left in a configuration, over any number of restarts, after a change of
// curriculum or none: the rows are those of a run that was never stopped again, in one segment.
TEST(Resume, RestartsWithoutAChangeStayInTheirSegment) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    testing::Dice dice(seed);
    TestRun setup = testing::random_setup(seed, true);
    PlannedRun whole = begin_run(setup.curriculum(), setup.sources);
    if (seed % 2 == 1) {
      const Cursor cursor = cursor_after(whole, dice.between(0, whole.plan->end_step()));
      setup.stages.back().phases.back().tokens += 4000;  // the later the change, the less is left
      setup.stages[0].global_batch_size = dice.between(1, 30);
      whole = resume_run(setup.curriculum(), setup.sources, cursor, CurriculumFrom::kResume);
      ASSERT_EQ(whole.cursor.segments.size(), 2U);
    }
    RowSchedule expected(whole.plan);
    Cursor cursor = whole.cursor;
    for (int restart = 0; restart < 5; ++restart) {
      const PlannedRun run =
          resume_run(setup.curriculum(), setup.sources, cursor, CurriculumFrom::kResume);
      ASSERT_EQ(run.cursor.segments.size(), whole.cursor.segments.size()) << "seed " << seed;
      ASSERT_EQ(run.plan->end_step(), whole.plan->end_step());
      RowSchedule found(run.plan);
      const int64_t stop = dice.between(cursor.step, run.plan->end_step());
      for (int64_t step = cursor.step; step < stop; ++step) {
        const std::vector<RowDraw> mine = found.step(step), theirs = expected.step(step);
        ASSERT_TRUE(std::equal(mine.begin(), mine.end(), theirs.begin(), theirs.end(),
                               [](const RowDraw& a, const RowDraw& b) {
                                 return std::tie(a.source, a.draw, a.window) ==
                                        std::tie(b.source, b.draw, b.window);
                               }))
            << "seed " << seed << " step " << step;
      }
      cursor = cursor_after(run, stop);
    }
    EXPECT_EQ(cursor, cursor_after(whole, cursor.step));
  }
}

TEST(Resume, AnyChangeOfTheScheduleBeginsASegment) {
  const Cursor cursor = cursor_of(small_setup(), 5);
  const auto segments = [&](const std::function<void(TestRun&)>& change) {
    TestRun setup = small_setup();
    change(setup);
    return resume_run(setup.curriculum(), setup.sources, cursor, CurriculumFrom::kResume)
        .cursor.segments.size();
  };
  EXPECT_EQ(segments([](TestRun&) {}), 1U);
  EXPECT_EQ(segments([](TestRun& run) { run.stages[0].phases[0].mix[0].weight = 0.65; }), 2U);
  EXPECT_EQ(segments([](TestRun& run) { run.stages[0].phases[1].tokens += 64 * 6; }), 2U);
  EXPECT_EQ(segments([](TestRun& run) { run.stages[0].global_batch_size = 32; }), 2U);
  // One that could not have been followed from the start: it would have taken more than the cap.
  EXPECT_EQ(segments([&](TestRun& run) {
              const auto taken = static_cast<double>(cursor.taken.at("books").at(6));
              run.data.sources[0].max_epochs = (taken + 10) / 40.0;
              run.stages[0].phases[0].mix = {{"web", 0.5}, {"books", 0.5}};
              run.stages[0].phases[0].tokens = 320 * 6;
              run.stages[0].phases[1].mix = {{"web", 0.5}, {"code", 0.5}, {"books", 0.0}};
              run.stages[0].phases[1].ramp = Ramp::kStep;
              run.stages[0].phases[1].ramp_tokens = std::nullopt;
            }),
            2U);
}

TEST(Resume, ARemovedSourceKeepsItsCount) {
  const Cursor cursor = cursor_of(small_setup(), 5);
  TestRun changed = small_setup();
  changed.data.sources.erase(changed.data.sources.begin());
  changed.sources.erase(changed.sources.begin());
  for (PhaseConfig& phase : changed.stages[0].phases) phase.mix = {{"web", 0.5}, {"code", 0.5}};
  const PlannedRun run =
      resume_run(changed.curriculum(), changed.sources, cursor, CurriculumFrom::kResume);
  const Cursor end = cursor_after(run, run.plan->end_step());
  EXPECT_EQ(end.taken.at("books"), cursor.taken.at("books"));
  EXPECT_EQ(end.sources, cursor.sources);
  EXPECT_EQ(end.segments.size(), 2U);
  EXPECT_EQ(end.segments[1].first_row, 320);
}

TEST(Resume, CapsCountWhatEarlierCurriculaTook) {
  TestRun setup = small_setup();
  const Cursor cursor = cursor_of(setup, 20);
  setup.data.sources[0].max_epochs =
      static_cast<double>(cursor.taken.at("books").at(6) + 100) / 40.0;
  EXPECT_EQ(error_of([&] { (void)begin_run(setup.curriculum(), setup.sources); }), "no error");
  EXPECT_NE(error_of([&] {
              (void)begin_run(setup.curriculum(), setup.sources, &cursor);
            }).find("data.sources.books.max_epochs"),
            std::string::npos);
}

}  // namespace
}  // namespace phalanx
