#include "launch/doctor/judged.h"

#include <fmt/format.h>

#include <map>
#include <set>

#include "parallel/rank_list.h"

namespace phalanx {

std::string who(const std::vector<RankFacts>& ranks,
                const std::function<bool(const RankFacts&)>& applies) {
  constexpr size_t kHostsShown = 4;
  std::vector<int> found;
  std::set<std::string> hosts;
  for (const RankFacts& facts : ranks) {
    if (!applies(facts)) continue;
    found.push_back(facts.rank);
    hosts.insert(facts.host);
  }
  if (found.empty()) return "";
  std::string names;
  size_t shown = 0;
  for (const std::string& host : hosts) {
    if (++shown > kHostsShown) {
      names += fmt::format(" and {} more", hosts.size() - kHostsShown);
      break;
    }
    names += (names.empty() ? "" : ", ") + host;
  }
  return fmt::format("{} ({})", ranks_text(found), names);
}

bool all_alike(const std::vector<RankFacts>& ranks, const FactText& value) {
  for (const RankFacts& facts : ranks) {
    if (value(facts) != value(ranks.front())) return false;
  }
  return true;
}

std::string complaints_text(const std::vector<RankFacts>& ranks, const FactText& complaint) {
  std::vector<RankFacts> failing;
  for (const RankFacts& facts : ranks) {
    if (!complaint(facts).empty()) failing.push_back(facts);
  }
  if (failing.empty()) return "";
  if (!all_alike(failing, complaint)) return values_text(failing, complaint);
  return fmt::format("{} on {}", complaint(failing.front()),
                     who(failing, [](const RankFacts&) { return true; }));
}

std::string values_text(const std::vector<RankFacts>& ranks, const FactText& value) {
  if (all_alike(ranks, value)) return value(ranks.front());
  std::vector<std::string> values;  // in the order of the ranks
  for (const RankFacts& facts : ranks) {
    const std::string found = value(facts);
    bool known = false;
    for (const std::string& one : values) known |= one == found;
    if (!known) values.push_back(found);
  }
  std::string text;
  for (const std::string& one : values) {
    text += fmt::format("{}{} on {}", text.empty() ? "" : ", ", one,
                        who(ranks, [&](const RankFacts& facts) { return value(facts) == one; }));
  }
  return text;
}

}  // namespace phalanx
