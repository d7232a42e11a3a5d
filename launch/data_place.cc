#include "launch/data_place.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "launch/environment.h"
#include "launch/install_paths.h"
#include "launch/run_start.h"
#include "launch/store_environment.h"
#include "trainer/attempt_start.h"
#include "trainer/checkpoint/checkpoint_folder.h"
#include "trainer/checkpoint/checkpoint_reader.h"
#include "trainer/checkpoint/strict_json.h"

namespace phalanx {
namespace {

namespace fs = std::filesystem;

/// As rank 0 of so many ranks: all sizes of shards, or hardly one, each when it is first read.
enum ShardChecks : int { kAllShards = 1, kShardsThatAreRead = 1 << 30 };

AttemptStart read_checkpoint(const fs::path& path) {
  CheckpointReader reader(path);
  return {reader.config_yaml(), train_state_from_json(parse_strict_json(
                                    reader.state_json(), (path / "state.json").string()))};
}

/// The newest checkpoint whose manifest, configuration and state read.
std::optional<AttemptStart> newest_checkpoint(const fs::path& folder) {
  const std::vector<CheckpointEntry> entries = list_checkpoints(folder);
  std::string problem;
  for (size_t i = entries.size(); i-- > 0;) {
    try {
      return read_checkpoint(entries[i].path);
    } catch (const std::invalid_argument& error) {
      if (problem.empty()) problem = error.what();
    }
  }
  if (!problem.empty()) throw std::invalid_argument(problem);
  return std::nullopt;
}

/// That of the newest attempt, with the spikes that its newest checkpoint knows of.
std::optional<AttemptStart> newest_start(const fs::path& folder) {
  std::optional<AttemptStart> start = load_attempt_start(folder);
  if (!start) return newest_checkpoint(folder / "checkpoints");
  try {
    const auto saved = newest_checkpoint(folder / "checkpoints");
    std::vector<LedgerSegment>& segments = start->state.cursor.segments;
    if (saved && saved->state.attempt == start->state.attempt &&
        saved->state.cursor.segments.size() == segments.size()) {
      segments.back().skipped = saved->state.cursor.segments.back().skipped;
    }
  } catch (const std::invalid_argument&) {
    // A damaged checkpoint; the start is as good for all but spikes.
  }
  return start;
}

void read_folder(const fs::path& folder, DataPlace& place) {
  std::optional<AttemptStart> found;
  if (fs::exists(folder / "manifest.json")) {
    found = read_checkpoint(folder);
  } else {
    found = newest_start(folder);
  }
  if (!found) {
    throw std::invalid_argument(
        fmt::format("{}: expected a configuration file, a run's folder (with start.json or "
                    "checkpoints) or a checkpoint (with manifest.json), found none of them",
                    folder.string()));
  }
  place.config_yaml = found->config_yaml;
  place.state = std::move(found->state);
}

ResolvedConfig read_stored(const DataPlace& place, const std::string& stored,
                           const std::string& what) {
  ConfigRequest request = place.request;
  request.file = fmt::format("{} ({})", place.request.file, what);
  return read_run_config_text(stored, request);
}

/// The lists that `entry` says, where the command line names none in their place.
void use_recorded_lists(const DataPlace& place, const std::string& stored, const MaskEntry& entry,
                        RunConfig& config) {
  DataPlace plain = place;
  plain.request.overrides.clear();
  const RunConfig unchanged = read_stored(plain, stored, "config.yaml").run;
  for (SourceConfig& source : config.data.sources) {
    const auto same = std::find_if(unchanged.data.sources.begin(), unchanged.data.sources.end(),
                                   [&](const SourceConfig& s) { return s.name == source.name; });
    if (same == unchanged.data.sources.end()) continue;
    if (same->mask_documents != source.mask_documents) continue;
    const auto list = entry.lists.find(source.name);
    source.mask_documents = list == entry.lists.end() ? "" : list->second.file;
  }
}

std::string list_text(const MaskLists& lists, const std::string& source) {
  const auto list = lists.find(source);
  if (list == lists.end()) return "none";
  return fmt::format("{} ({})", list->second.file, list->second.hash);
}

[[noreturn]] void fail_list(const DataPlace& place, const std::string& source,
                            const MaskEntry& entry, const std::string& found) {
  throw std::invalid_argument(fmt::format(
      "{0}: data.sources.{1}.mask_documents: expected the list that was in force from step {2} on, "
      "{3}, found {4}: put it back, or name a copy of it with data.sources.{1}.mask_documents=COPY",
      place.request.file, source, entry.first_step + 1, list_text(entry.lists, source), found));
}

void check_lists_exist(const DataPlace& place, const RunConfig& config, const MaskEntry& entry) {
  for (const SourceConfig& source : config.data.sources) {
    if (source.mask_documents.empty() || fs::exists(source.mask_documents)) continue;
    fail_list(place, source.name, entry, "no file " + source.mask_documents);
  }
}

void check_lists(const DataPlace& place, const PlacedData& placed, const MaskEntry& entry) {
  const MaskLists& found = placed.data.mask_lists;
  for (const SourceConfig& source : placed.config.data.sources) {
    const auto was = entry.lists.find(source.name), is = found.find(source.name);
    const bool had = was != entry.lists.end(), has = is != found.end();
    if (had == has && (!had || was->second.hash == is->second.hash)) continue;
    fail_list(place, source.name, entry, list_text(found, source.name));
  }
}

/// `lists`: those in force at the step that is asked for; null: those of the configuration.
PlacedData open_segment(const DataPlace& place, size_t segment, const MaskEntry* lists,
                        ShardChecks checks) {
  const Cursor& ledger = place.state->cursor;
  const bool last = segment + 1 == ledger.segments.size();
  const std::vector<std::string>& past = place.state->past_configs;
  if (!last && (segment >= past.size() || past[segment].empty())) {
    throw std::invalid_argument(fmt::format(
        "{}: expected the configuration of steps {} to {}, under which they were read before the "
        "curriculum was changed, found that it was not recorded; point at a checkpoint of one of "
        "those steps",
        place.request.file, ledger.segments[segment].first_step + 1,
        ledger.segments[segment + 1].first_step));
  }
  const std::string& stored = last ? place.config_yaml : past[segment];
  PlacedData placed;
  placed.config =
      read_stored(place, stored, last ? "config.yaml" : fmt::format("past_configs[{}]", segment))
          .run;
  if (lists) {
    use_recorded_lists(place, stored, *lists, placed.config);
    check_lists_exist(place, placed.config, *lists);
  }
  placed.data = open_run_data(placed.config, 0, checks, store_environment(environment));
  if (lists) check_lists(place, placed, *lists);
  placed.planned = resume_run(placed.data.curriculum, placed.data.infos,
                              ledger_until(ledger, segment), CurriculumFrom::kStart);
  return placed;
}

/// A run of the configuration file: new, forked, or going on from `checkpoint`.
PlacedData open_as_train_does(const DataPlace& place, const std::string& checkpoint,
                              ShardChecks checks) {
  const ResolvedConfig config = read_run_config(place.request);
  RunStart start = open_run_start(checkpoint, config);
  PlacedData placed{
      config.run, open_run_data(config.run, 0, checks, store_environment(environment)), {}};
  placed.planned = plan_run(placed.config, placed.data, /*num_skipped=*/0, start);
  return placed;
}

}  // namespace

DataPlace find_data_place(ConfigRequest request) {
  DataPlace place{std::move(request), {}, {}};
  place.request.config_dir = find_config_dir();
  if (fs::is_directory(place.request.file)) read_folder(place.request.file, place);
  return place;
}

PlacedData open_newest_plan(const DataPlace& place) {
  if (!place.state) return open_as_train_does(place, "", kAllShards);
  return open_segment(place, place.state->cursor.segments.size() - 1, nullptr, kAllShards);
}

PlacedData open_resumed_plan(const DataPlace& place, const std::string& checkpoint) {
  if (place.state) {
    throw std::invalid_argument(
        fmt::format("--resume-from: expected a configuration file to resume with, found {}",
                    place.request.file));
  }
  return open_as_train_does(place, checkpoint, kAllShards);
}

PlacedData open_plan_of_step(const DataPlace& place, int64_t step) {
  if (!place.state) return open_as_train_does(place, "", kShardsThatAreRead);
  return open_segment(place, segment_of(place.state->cursor, step),
                      find_entry(place.state->masked_documents, step), kShardsThatAreRead);
}

}  // namespace phalanx
