#include "parallel/hang_report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <unordered_map>

#include "parallel/rank_list.h"

namespace phalanx {
namespace {

constexpr double kNanosecond = 1e-9;
constexpr size_t kLines = 16;  // ranks that do the same share one
constexpr size_t kHosts = 4;   // named in a line

/// The collective that a rank waits in; null: in none.
const CollectiveRecord* open_collective(const RankState& rank) {
  if (!rank.last || rank.last->recent.empty()) return nullptr;
  const CollectiveRecord& last = rank.last->recent.back();
  return last.is_open() ? &last : nullptr;
}

const FlightGroup* group_of(const RankState& rank, int group) {
  if (!rank.last || static_cast<size_t>(group) >= rank.last->groups.size()) return nullptr;
  return &rank.last->groups[static_cast<size_t>(group)];
}

using ByRank = std::unordered_map<int, const RankState*>;

ByRank by_rank(const std::vector<RankState>& ranks) {
  ByRank index;
  for (const RankState& rank : ranks) index[rank.rank] = &rank;
  return index;
}

const RankState* find_rank(const ByRank& ranks, int rank) {
  const auto found = ranks.find(rank);
  return found == ranks.end() ? nullptr : found->second;
}

std::string bytes_text(int64_t bytes) {
  if (bytes < 10'000) return fmt::format("{} bytes", bytes);
  if (bytes < 10'000'000) return fmt::format("{:.1f} KB", double(bytes) / 1e3);
  return fmt::format("{:.1f} MB", double(bytes) / 1e6);
}

std::string collective_text(const CollectiveRecord& record, const std::string& group) {
  return fmt::format("{} #{} of {}{}", operation_name(record.operation), record.number, group,
                     record.bytes > 0 ? fmt::format(" ({})", bytes_text(record.bytes)) : "");
}

std::string doing_text(const RankState& rank) {
  if (!rank.last) return "on another host, not heard of";
  std::string text = phase_text(rank.last->phase);
  if (rank.last->step > 0) text += fmt::format(", step {}", rank.last->step);
  if (rank.last->recent.empty()) return text + ": no collective yet";
  const CollectiveRecord& last = rank.last->recent.back();
  return fmt::format("{}: {} {}", text, last.is_open() ? "waits in" : "in no collective, last",
                     collective_text(last, group_name(rank, last.group)));
}

double silent_seconds(const RankState& rank) {
  return rank.last ? double(rank.now_ns - rank.last->progress_ns) * kNanosecond : 0.0;
}

/// Members of the collective that have not begun it.
std::set<int> absent_from(const ByRank& ranks, const FlightGroup& group,
                          const CollectiveRecord& waited) {
  std::set<int> absent;
  for (const int member : group.members) {
    const RankState* state = find_rank(ranks, member);
    if (state == nullptr || !state->last) {
      absent.insert(member);
      continue;
    }
    const std::vector<int64_t>& numbers = state->last->last_numbers;
    const size_t index = static_cast<size_t>(waited.group);
    if (index >= numbers.size() || numbers[index] < waited.number) absent.insert(member);
  }
  return absent;
}

bool same(const CollectiveRecord& a, const CollectiveRecord& b) {
  return a.operation == b.operation && a.bytes == b.bytes;
}

using History = std::map<int64_t, CollectiveRecord>;  // of a rank in one group, by number

/// Does `found` go on like `expected` one collective later?
bool left_one_out(const History& found, const History& expected, int64_t number) {
  bool any = false;
  for (auto one = found.find(number); one != found.end(); ++one) {
    const auto other = expected.find(one->first + 1);
    if (other == expected.end()) break;
    if (!same(one->second, other->second)) return false;
    any = true;
  }
  return any;
}

/// Who did otherwise in collective `number`; nothing if all did the same.
std::optional<Mismatch> mismatch_at(const std::map<int, History>& histories, int64_t number) {
  std::vector<std::vector<int>> sides;  // ranks that did the same
  for (const auto& [rank, history] : histories) {
    const auto mine = history.find(number);
    if (mine == history.end()) continue;
    auto side = std::find_if(sides.begin(), sides.end(), [&](const std::vector<int>& one) {
      return same(histories.at(one.front()).at(number), mine->second);
    });
    if (side == sides.end()) side = sides.insert(side, std::vector<int>());
    side->push_back(rank);
  }
  if (sides.size() < 2) return std::nullopt;
  std::stable_sort(sides.begin(), sides.end(),
                   [](const auto& a, const auto& b) { return a.size() > b.size(); });
  // Of two alike sides the one is wrong that runs ahead of the other.
  const auto ahead = [&](size_t a, size_t b) {
    return left_one_out(histories.at(sides[a].front()), histories.at(sides[b].front()), number);
  };
  const bool tie = sides[0].size() == sides[1].size();
  if (tie && ahead(0, 1) && !ahead(1, 0)) std::swap(sides[0], sides[1]);
  Mismatch found;
  found.number = number;
  found.expected = histories.at(sides[0].front()).at(number);
  found.ranks = sides[1];
  found.found = histories.at(sides[1].front()).at(number);
  found.skipped = ahead(1, 0);
  if (tie && !found.skipped) {
    found.ranks.insert(found.ranks.end(), sides[0].begin(), sides[0].end());
    std::sort(found.ranks.begin(), found.ranks.end());
  }
  return found;
}

std::string mismatch_text(const Mismatch& found) {
  const std::string expected = collective_text(found.expected, found.group.name);
  if (found.skipped) {
    return fmt::format("{} left out {}, and then went on as the others", ranks_text(found.ranks),
                       expected);
  }
  return fmt::format(
      "the ranks did not do the same: {} of {} was {} ({}) on rank {}, and {} on "
      "others",
      fmt::format("#{}", found.number), found.group.name, operation_name(found.found.operation),
      bytes_text(found.found.bytes), found.ranks.front(), expected);
}

std::string where_text(const ByRank& ranks, const std::vector<int>& named) {
  std::string text;
  for (size_t i = 0; i < std::min<size_t>(named.size(), 4); ++i) {
    const RankState* state = find_rank(ranks, named[i]);
    if (state == nullptr) continue;
    text += fmt::format("{}{}{}", text.empty() ? "" : ", ", state->host,
                        state->process.empty() ? "" : ", " + state->process);
  }
  return text.empty() ? text : fmt::format(" ({})", text);
}

std::string headline(int speaker, double waited_seconds, const std::vector<RankState>& ranks) {
  const std::vector<int> missing = missing_ranks(ranks);
  const ByRank index = by_rank(ranks);
  const RankState* mine = find_rank(index, speaker);
  const CollectiveRecord* waits = mine ? open_collective(*mine) : nullptr;
  std::string text = fmt::format("rank {}{} has made no progress for {:.1f} s", speaker,
                                 mine ? " on " + mine->host : "", waited_seconds);
  if (waits) {
    text += " in " + collective_text(*waits, group_name(*mine, waits->group));
  } else if (mine) {
    text += fmt::format(" ({})", doing_text(*mine));
  }
  if (!missing.empty() && missing != std::vector<int>{speaker}) {
    text += fmt::format("; missing: {}{}", ranks_text(missing), where_text(index, missing));
  }
  const std::optional<Mismatch> mismatch = first_mismatch(ranks);
  return mismatch ? fmt::format("{}; {}", text, mismatch_text(*mismatch)) : text;
}

}  // namespace

std::optional<Mismatch> first_mismatch(const std::vector<RankState>& ranks) {
  struct Group {
    FlightGroup group;
    std::map<int, History> histories;
  };
  std::map<std::pair<int, std::vector<int>>, Group> groups;
  for (const RankState& rank : ranks) {
    if (!rank.last) continue;
    for (const CollectiveRecord& record : rank.last->recent) {
      const FlightGroup* group = group_of(rank, record.group);
      if (group == nullptr || group->members.empty()) continue;
      Group& known = groups[{record.group, group->members}];
      known.group = *group;
      known.histories[rank.rank][record.number] = record;
    }
  }
  for (const auto& [key, group] : groups) {
    std::set<int64_t> numbers;
    for (const auto& [rank, history] : group.histories) {
      for (const auto& [number, record] : history) numbers.insert(number);
    }
    for (const int64_t number : numbers) {
      std::optional<Mismatch> found = mismatch_at(group.histories, number);
      if (!found) continue;
      found->group = group.group;
      return found;
    }
  }
  return std::nullopt;
}

std::vector<int> missing_ranks(const std::vector<RankState>& ranks) {
  const ByRank index = by_rank(ranks);
  std::set<int> missing;
  std::set<std::tuple<int, int64_t, std::vector<int>>> seen;  // those of one collective wait alike
  for (const RankState& rank : ranks) {
    const CollectiveRecord* waited = open_collective(rank);
    const FlightGroup* group = waited ? group_of(rank, waited->group) : nullptr;
    if (group == nullptr) continue;
    if (!seen.emplace(waited->group, waited->number, group->members).second) continue;
    for (const int absent : absent_from(index, *group, *waited)) {
      const RankState* state = find_rank(index, absent);
      if (state == nullptr || open_collective(*state) == nullptr) missing.insert(absent);
    }
  }
  // A process that is stopped or gone inside a collective counts as in it, and yet is the cause.
  for (const RankState& rank : ranks) {
    if (!rank.process.empty()) missing.insert(rank.rank);
  }
  if (missing.empty()) {
    if (const std::optional<Mismatch> mismatch = first_mismatch(ranks)) return mismatch->ranks;
  }
  return {missing.begin(), missing.end()};
}

std::string group_name(const RankState& rank, int group) {
  const FlightGroup* known = group_of(rank, group);
  return known ? known->name : fmt::format("group {}", group);
}

std::string state_text(const RankState& rank) {
  std::string text = doing_text(rank);
  if (rank.last) text += fmt::format(", silent for {:.1f} s", silent_seconds(rank));
  return rank.process.empty() ? text : fmt::format("{}; the process is {}", text, rank.process);
}

/// Where they are: "node1, process 17", or the hosts of several.
std::string place_text(const std::vector<const RankState*>& ranks) {
  std::vector<std::string> hosts;
  for (const RankState* rank : ranks) {
    if (std::find(hosts.begin(), hosts.end(), rank->host) == hosts.end()) {
      hosts.push_back(rank->host);
    }
  }
  if (hosts.size() == 1) return fmt::format("{}, process {}", hosts.front(), ranks.front()->pid);
  const size_t left_out = hosts.size() - std::min(hosts.size(), kHosts);
  hosts.resize(hosts.size() - left_out);
  const std::string others = left_out == 0 ? "" : fmt::format(" and {} more", left_out);
  return fmt::format("hosts {}{}", fmt::join(hosts, ", "), others);
}

std::string hang_report(int speaker, double waited_seconds, const std::vector<RankState>& ranks) {
  std::string text = headline(speaker, waited_seconds, ranks);
  const std::vector<int> missing = missing_ranks(ranks);
  std::map<std::string, std::vector<const RankState*>> alike;
  std::vector<std::string> order;  // those that matter first
  const auto add = [&](const RankState& rank) {
    const std::string key = doing_text(rank) + rank.process;
    if (!alike.contains(key)) order.push_back(key);
    alike[key].push_back(&rank);
  };
  const auto is_missing = [&](const RankState& rank) {
    return std::binary_search(missing.begin(), missing.end(), rank.rank);
  };
  for (const RankState& rank : ranks) {
    if (is_missing(rank)) add(rank);
  }
  for (const RankState& rank : ranks) {
    if (!is_missing(rank)) add(rank);
  }
  for (size_t i = 0; i < std::min(order.size(), kLines); ++i) {
    const std::vector<const RankState*>& those = alike[order[i]];
    std::vector<int> numbers;
    for (const RankState* one : those) numbers.push_back(one->rank);
    std::sort(numbers.begin(), numbers.end());
    text += fmt::format("\n  {} ({}): {}", ranks_text(numbers), place_text(those),
                        state_text(*those.front()));
  }
  if (order.size() > kLines) text += fmt::format("\n  and {} more", order.size() - kLines);
  return text;
}

}  // namespace phalanx
