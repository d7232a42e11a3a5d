#include "launch/hang_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <stdexcept>
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

/// Nothing that a rank counts is negative, and sums and differences of two such numbers fit.
int64_t count_from(const json& value, int64_t most = int64_t{1} << 62) {
  const bool fits =
      value.is_number_unsigned() && value.get<uint64_t>() <= static_cast<uint64_t>(most);
  if (!fits) throw std::invalid_argument(fmt::format("expected a number from 0 to {}", most));
  return value.get<int64_t>();
}

int small_from(const json& value) { return static_cast<int>(count_from(value, int64_t{1} << 30)); }

const json& list_from(const json& object, const char* key) {
  const json& list = object.at(key);
  if (!list.is_array()) throw std::invalid_argument(fmt::format("{}: expected a list", key));
  return list;
}

FlightSnapshot snapshot_from(const json& state) {
  FlightSnapshot found;
  found.phase = static_cast<RunPhase>(std::min(small_from(state.at("phase")), 4));
  found.step = count_from(state.at("step"));
  found.progress_ns = count_from(state.at("progress_ns"));
  for (const json& number : list_from(state, "last_numbers")) {
    found.last_numbers.push_back(count_from(number));
  }
  for (const json& group : list_from(state, "groups")) {
    found.groups.push_back({group.at("name").get<std::string>(), {}});
    for (const json& member : list_from(group, "members")) {
      found.groups.back().members.push_back(small_from(member));
    }
  }
  for (const json& one : list_from(state, "recent")) {
    found.recent.push_back({static_cast<FlightOperation>(std::min(small_from(one.at(0)), 6)),
                            small_from(one.at(1)), count_from(one.at(2)), count_from(one.at(3)),
                            count_from(one.at(4)), count_from(one.at(5))});
  }
  return found;
}

RankState rank_from(const json& state) {
  RankState rank;
  rank.rank = small_from(state.at("rank"));
  rank.host = state.at("host").get<std::string>();
  rank.pid = small_from(state.at("pid"));
  rank.now_ns = count_from(state.at("now_ns"));
  rank.process = state.at("process").get<std::string>();
  if (state.contains("last")) rank.last = snapshot_from(state.at("last"));
  return rank;
}

HangNote note_from(const fs::path& path) {
  std::ifstream file(path);
  const json note = json::parse(file);
  HangNote found{note.at("job").get<std::string>(),
                 small_from(note.at("rank")),
                 note.at("silent_seconds").get<double>(),
                 {}};
  for (const json& rank : list_from(note, "ranks")) found.ranks.push_back(rank_from(rank));
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
                        group_name(rank, record.group), record.bytes);
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
    } catch (const std::invalid_argument&) {
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
