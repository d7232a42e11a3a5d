#include "launch/hang_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <system_error>

#include "parallel/hang_report.h"

namespace phalanx {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

json to_json(const CollectiveRecord& record) {
  return {static_cast<int>(record.operation),
          record.group,
          record.number,
          record.bytes,
          record.begun_ns,
          record.ended_ns};
}

json to_json(const FlightSnapshot& state) {
  json groups = json::array(), recent = json::array();
  for (const FlightGroup& group : state.groups) {
    groups.push_back({{"name", group.name}, {"members", group.members}});
  }
  for (const CollectiveRecord& record : state.recent) recent.push_back(to_json(record));
  return {{"phase", static_cast<int>(state.phase)}, {"step", state.step},
          {"progress_ns", state.progress_ns},       {"groups", groups},
          {"last_numbers", state.last_numbers},     {"recent", recent}};
}

json to_json(const RankState& rank) {
  json state = {{"rank", rank.rank},
                {"host", rank.host},
                {"pid", rank.pid},
                {"now_ns", rank.now_ns},
                {"process", rank.process}};
  if (rank.last) state["last"] = to_json(*rank.last);
  return state;
}

FlightSnapshot snapshot_from(const json& state) {
  FlightSnapshot found;
  found.phase = static_cast<RunPhase>(std::clamp(state.at("phase").get<int>(), 0, 4));
  found.step = state.at("step").get<int64_t>();
  found.progress_ns = state.at("progress_ns").get<int64_t>();
  found.last_numbers = state.at("last_numbers").get<std::vector<int64_t>>();
  for (const json& group : state.at("groups")) {
    found.groups.push_back(
        {group.at("name").get<std::string>(), group.at("members").get<std::vector<int>>()});
  }
  for (const json& one : state.at("recent")) {
    found.recent.push_back({static_cast<FlightOperation>(std::clamp(one.at(0).get<int>(), 0, 6)),
                            one.at(1).get<int>(), one.at(2).get<int64_t>(),
                            one.at(3).get<int64_t>(), one.at(4).get<int64_t>(),
                            one.at(5).get<int64_t>()});
  }
  return found;
}

RankState rank_from(const json& state) {
  RankState rank;
  rank.rank = state.at("rank").get<int>();
  rank.host = state.at("host").get<std::string>();
  rank.pid = state.at("pid").get<int>();
  rank.now_ns = state.at("now_ns").get<int64_t>();
  rank.process = state.at("process").get<std::string>();
  if (state.contains("last")) rank.last = snapshot_from(state.at("last"));
  return rank;
}

HangNote note_from(const fs::path& path) {
  std::ifstream file(path);
  const json note = json::parse(file);
  HangNote found{note.at("job").get<std::string>(),
                 note.at("rank").get<int>(),
                 note.at("silent_seconds").get<double>(),
                 {}};
  for (const json& rank : note.at("ranks")) found.ranks.push_back(rank_from(rank));
  return found;
}

/// Whole or not at all, since others read it; what is lost with a machine is lost.
void write_whole(const fs::path& path, const std::string& text) {
  const fs::path staging = path.string() + ".part";
  std::ofstream file(staging);
  file << text;
  file.close();
  if (!file) throw std::system_error(errno, std::generic_category(), staging.string());
  fs::rename(staging, path);
}

}  // namespace

std::string history_text(const RankState& rank) {
  std::string text = fmt::format("rank {} on {}, process {}\n{}\n", rank.rank, rank.host, rank.pid,
                                 state_text(rank));
  if (!rank.last) return text;
  text += "last collectives, oldest first: begun before now, duration, what\n";
  for (const CollectiveRecord& record : rank.last->recent) {
    const double ago = double(rank.now_ns - record.begun_ns) * 1e-9;
    const double took = double(record.ended_ns - record.begun_ns) * 1e-6;
    text += fmt::format("  {:10.3f} s  {:>12}  {} #{} of {}, {} bytes\n", ago,
                        record.is_open() ? "waits" : fmt::format("{:.3f} ms", took),
                        operation_name(record.operation), record.number,
                        rank.last->groups.at(size_t(record.group)).name, record.bytes);
  }
  return text;
}

void write_hang_note(const fs::path& folder, const HangNote& note, const std::string& stacks) {
  fs::create_directories(folder);
  json ranks = json::array();
  std::string history;
  for (const RankState& rank : note.ranks) {
    ranks.push_back(to_json(rank));
    if (rank.rank == note.rank) history = history_text(rank);
  }
  const fs::path path = folder / fmt::format("rank-{:05}", note.rank);
  write_whole(path.string() + ".txt", history + "\nthreads\n" + stacks);
  const json whole = {{"job", note.job},
                      {"rank", note.rank},
                      {"silent_seconds", note.silent_seconds},
                      {"ranks", ranks}};
  write_whole(path.string() + ".json", whole.dump() + "\n");
}

std::vector<HangNote> read_hang_notes(const fs::path& folder, const std::string& job) {
  std::vector<HangNote> notes;
  std::error_code unknown;
  for (const auto& entry : fs::directory_iterator(folder, unknown)) {
    if (entry.path().extension() != ".json") continue;
    try {
      HangNote note = note_from(entry.path());
      if (job.empty() || note.job == job) notes.push_back(std::move(note));
    } catch (const json::exception&) {
      continue;
    }
  }
  std::sort(notes.begin(), notes.end(),
            [](const HangNote& a, const HangNote& b) { return a.rank < b.rank; });
  return notes;
}

std::vector<RankState> states_of(const std::vector<HangNote>& notes) {
  std::map<int, RankState> states;
  for (const HangNote& note : notes) {
    for (const RankState& rank : note.ranks) {
      RankState& known = states.try_emplace(rank.rank, rank).first->second;
      if (rank.rank == note.rank || !known.last) known = rank;
    }
  }
  std::vector<RankState> ranks;
  for (auto& [rank, state] : states) ranks.push_back(std::move(state));
  return ranks;
}

}  // namespace phalanx
