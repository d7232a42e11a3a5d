#include "data/mixture/resume.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <stdexcept>

namespace phalanx {
namespace {

void check_order(const Cursor& cursor, const Curriculum& curriculum) {
  if (cursor.order_version != kOrderVersion) {
    throw std::invalid_argument(fmt::format("ledger.order_version: expected {}, found {}",
                                            kOrderVersion, cursor.order_version));
  }
  if (cursor.seed != curriculum.seed) {
    throw std::invalid_argument(
        fmt::format("data.seed: expected {}, with which the ledger was begun, found {}",
                    cursor.seed, curriculum.seed));
  }
}

bool has_given(const Cursor& cursor, const std::string& source) {
  const auto taken = cursor.taken.find(source);
  return taken != cursor.taken.end() &&
         std::any_of(taken->second.begin(), taken->second.end(),
                     [](const auto& stream) { return stream.second > 0; });
}

using Parts = std::map<std::string, std::string>;  // of a fingerprint, by what stands before ':'

Parts parts_of(const std::string& fingerprint) {
  Parts parts;
  for (size_t begin = 0; begin <= fingerprint.size();) {
    const size_t end = std::min(fingerprint.find('/', begin), fingerprint.size());
    const std::string part = fingerprint.substr(begin, end - begin);
    const size_t colon = std::min(part.find(':'), part.size());
    parts[begin == 0 ? "" : part.substr(0, colon)] = part;
    begin = end + 1;
  }
  return parts;
}

bool names_bins(const std::string& part) { return part.starts_with("bins-"); }

bool has_bins(const Parts& parts) {
  return std::any_of(parts.begin(), parts.end(), [](const auto& p) { return names_bins(p.first); });
}

/// The parts of both, or nullopt if one differs. Bins of a length that only one of them reads do
/// not disagree; reading bins and reading windows do.
std::optional<std::string> join_fingerprints(const std::string& old, const std::string& now) {
  Parts joined = parts_of(now);
  const Parts before = parts_of(old);
  if (has_bins(joined) != has_bins(before)) return std::nullopt;
  for (const auto& [name, part] : joined) {
    if (!before.contains(name) && !names_bins(name)) return std::nullopt;
  }
  for (const auto& [name, part] : before) {
    const auto [place, added] = joined.emplace(name, part);
    if (added ? !names_bins(name) : place->second != part) return std::nullopt;
  }
  std::string text;
  for (const auto& [name, part] : joined) text += (text.empty() ? "" : "/") + part;
  return text;
}

/// Where the same data would be read in another way, the field that says how, and both values.
std::string difference_text(const std::string& source, const std::string& old,
                            const std::string& now) {
  const Parts before = parts_of(old), after = parts_of(now);
  const auto text = [&](const std::string& field, const std::string& a, const std::string& b) {
    return fmt::format(
        "{}: expected {}, with which the ledger counts rows of source {}, found {}: put it back, "
        "or give the source another name",
        field, a, source, b);
  };
  const auto value = [](const Parts& parts, const std::string& name) {
    const auto part = parts.find(name);
    return part == parts.end() ? "0" : part->second.substr(name.size() + 1);
  };
  if (before.at("") == after.at("")) {
    const auto packing = [](const Parts& p) { return has_bins(p) ? "best_fit" : "windows"; };
    if (has_bins(before) != has_bins(after)) {
      return text("data.packing", packing(before), packing(after));
    }
    for (const auto& [name, field] : {std::pair{"shuffle_window", "shuffle_window"},
                                      {"last_tokens", "validation.last_tokens"}}) {
      const std::string a = value(before, name), b = value(after, name);
      if (a != b) return text(fmt::format("data.sources.{}.{}", source, field), a, b);
    }
  }
  return fmt::format(
      "data.sources.{}: expected the data with fingerprint {}, of which the ledger counts rows, "
      "found {}: restore it, or give the new data another name",
      source, old, now);
}

// The ledger's sources with those of this run; one that has given rows must be what it was.
std::vector<LedgerSource> join_sources(const Cursor& cursor,
                                       const std::vector<SourceInfo>& sources) {
  std::map<std::string, std::string> joined;
  for (const LedgerSource& source : cursor.sources) joined[source.name] = source.fingerprint;
  for (const SourceInfo& source : sources) {
    std::string& entry = joined[source.name];
    std::optional<std::string> both = source.fingerprint;
    if (!entry.empty() && has_given(cursor, source.name))
      both = join_fingerprints(entry, source.fingerprint);
    if (!both) throw std::invalid_argument(difference_text(source.name, entry, source.fingerprint));
    entry = *both;
  }
  std::vector<LedgerSource> list;
  for (const auto& [name, fingerprint] : joined) list.push_back({name, fingerprint});
  return list;
}

LedgerSegment begin_segment(const MixturePlan& plan) {
  return {plan.start.row, plan.start.step, plan.hash, plan.start.taken, {}, {}};
}

bool begins_step(const MixturePlan& plan, int64_t row, int64_t step) {
  if (step == plan.end_step()) return row == plan.end_row();
  return step < plan.end_step() && plan.step_rows(step).first_row == row;
}

/// What keeps `plan` from going on where the cursor's last segment stands; nothing if it can.
std::optional<std::string> schedule_change(const MixturePlan& plan, const Cursor& cursor) {
  const std::vector<PhaseMark>& old = cursor.segments.back().phases;
  const std::vector<PhaseMark> now = phase_marks(plan, std::min(cursor.row, plan.end_row()));
  for (size_t i = 0; i < std::max(old.size(), now.size()); ++i) {
    if (i < old.size() && i < now.size() && old[i].hash == now[i].hash) continue;
    return fmt::format(
        "{}: expected the schedule that the run followed up to row {}, found another: put it back, "
        "or say `curriculum_from: resume` to begin the new one at this row",
        i < old.size() ? old[i].name : now[i].name, cursor.row);
  }
  if (begins_step(plan, cursor.row, cursor.step)) return std::nullopt;
  return fmt::format(
      "stages: expected step {} to begin at row {}, as it did before, found other steps: put the "
      "batch sizes back, or say `curriculum_from: resume`",
      cursor.step, cursor.row);
}

/// The plan that the last segment follows, if the curriculum still makes the very same one.
std::shared_ptr<const MixturePlan> unchanged_plan(const Curriculum& curriculum,
                                                  const std::vector<SourceInfo>& sources,
                                                  const Cursor& cursor) {
  const LedgerSegment& last = cursor.segments.back();
  try {
    auto plan = std::make_shared<const MixturePlan>(
        make_plan(curriculum, sources, {last.first_row, last.first_step, last.taken}));
    if (plan->hash == last.plan_hash && !schedule_change(*plan, cursor)) return plan;
  } catch (const std::invalid_argument&) {
    // No such plan was ever followed, so this one is new; whether it can begin is asked next.
  }
  return nullptr;
}

}  // namespace

PlannedRun begin_run(const Curriculum& curriculum, std::vector<SourceInfo> sources,
                     const Cursor* ledger) {
  Cursor cursor;
  if (ledger) {
    check_order(*ledger, curriculum);
    cursor.taken = ledger->taken;
    cursor.sources = ledger->sources;
  }
  cursor.order_version = kOrderVersion;
  cursor.seed = curriculum.seed;
  cursor.sources = join_sources(cursor, sources);
  auto plan = std::make_shared<const MixturePlan>(
      make_plan(curriculum, std::move(sources), {0, 0, cursor.taken}));
  cursor.segments.push_back(begin_segment(*plan));
  return {plan, cursor};
}

PlannedRun resume_run(const Curriculum& curriculum, std::vector<SourceInfo> sources,
                      const Cursor& cursor, CurriculumFrom from) {
  check_order(cursor, curriculum);
  PlannedRun run{nullptr, cursor};
  run.cursor.sources = join_sources(cursor, sources);
  if (from == CurriculumFrom::kResume) {
    run.plan = unchanged_plan(curriculum, sources, cursor);
    if (run.plan) return run;
    run.plan = std::make_shared<const MixturePlan>(
        make_plan(curriculum, std::move(sources), {cursor.row, cursor.step, cursor.taken}));
    run.cursor.segments.push_back(begin_segment(*run.plan));
    return run;
  }
  const LedgerSegment& last = cursor.segments.back();
  run.plan = std::make_shared<const MixturePlan>(
      make_plan(curriculum, std::move(sources), {last.first_row, last.first_step, last.taken}));
  if (const auto change = schedule_change(*run.plan, cursor)) throw std::invalid_argument(*change);
  run.cursor.segments.back().plan_hash = run.plan->hash;
  return run;
}

Cursor cursor_at(RowSchedule& schedule, const Cursor& cursor, int64_t step) {
  const MixturePlan& plan = schedule.plan();
  Cursor next = cursor;
  next.step = step;
  next.row = step == plan.end_step() ? plan.end_row() : plan.step_rows(step).first_row;
  next.taken = schedule.taken_at(next.row);
  next.segments.back().phases = phase_marks(plan, next.row);
  return next;
}

Cursor skip_steps(RowSchedule& schedule, const Cursor& cursor, int64_t num_steps) {
  const int64_t left = schedule.plan().end_step() - cursor.step;
  if (num_steps < 1 || num_steps > left) {
    throw std::invalid_argument(fmt::format(
        "steps to skip: expected 1 to the {} that are left, found {}", left, num_steps));
  }
  Cursor next = cursor_at(schedule, cursor, cursor.step + num_steps);
  note_skipped(next, cursor.row, next.row);
  return next;
}

void note_skipped(Cursor& cursor, int64_t first_row, int64_t end_row) {
  auto& skipped = cursor.segments.back().skipped;
  if (!skipped.empty() && skipped.back().second == first_row) {
    skipped.back().second = end_row;
  } else {
    skipped.emplace_back(first_row, end_row);
  }
}

size_t segment_of(const Cursor& cursor, int64_t step) {
  size_t segment = 0;
  for (size_t i = 1; i < cursor.segments.size(); ++i) {
    if (cursor.segments[i].first_step <= step) segment = i;
  }
  return segment;
}

Cursor ledger_until(const Cursor& cursor, size_t segment) {
  if (segment + 1 >= cursor.segments.size()) return cursor;
  const LedgerSegment& next = cursor.segments[segment + 1];
  Cursor cut = cursor;
  cut.segments.resize(segment + 1);
  cut.row = next.first_row;
  cut.step = next.first_step;
  cut.taken = next.taken;
  return cut;
}

bool was_skipped(const Cursor& cursor, int64_t row) {
  for (const LedgerSegment& segment : cursor.segments) {
    for (const auto& [first, end] : segment.skipped) {
      if (row >= first && row < end) return true;
    }
  }
  return false;
}

}  // namespace phalanx
