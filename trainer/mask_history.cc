#include "trainer/mask_history.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "trainer/checkpoint/strict_json.h"

namespace phalanx {
namespace {

MaskEntry entry_from_json(const nlohmann::json& json, const std::string& where) {
  MaskEntry entry{integer(member(json, "first_step", where), where + ".first_step"), {}};
  const nlohmann::json& lists = member(json, "lists", where);
  if (!lists.is_object()) refuse_json(where + ".lists", "an object", lists);
  for (const auto& [source, list] : lists.items()) {
    const std::string place = fmt::format("{}.lists.{}", where, source);
    entry.lists[source] = {text(member(list, "file", place), place + ".file"),
                           text(member(list, "xxh3", place), place + ".xxh3")};
  }
  return entry;
}

}  // namespace

MaskHistory with_lists(MaskHistory history, int64_t step, const MaskLists& lists) {
  // Lists that a start named, but that no step was trained with.
  while (!history.empty() && history.back().first_step >= step) history.pop_back();
  if (history.empty() || history.back().lists != lists) history.push_back({step, lists});
  return history;
}

const MaskEntry* find_entry(const MaskHistory& history, int64_t step) {
  const MaskEntry* found = nullptr;
  for (const MaskEntry& entry : history) {
    if (entry.first_step <= step) found = &entry;
  }
  return found;
}

nlohmann::json to_json(const MaskHistory& history) {
  nlohmann::json json = nlohmann::json::array();
  for (const MaskEntry& entry : history) {
    nlohmann::json lists = nlohmann::json::object();
    for (const auto& [source, list] : entry.lists) {
      lists[source] = {{"file", list.file}, {"xxh3", list.hash}};
    }
    json.push_back({{"first_step", entry.first_step}, {"lists", lists}});
  }
  return json;
}

MaskHistory mask_history_from_json(const nlohmann::json& json, const std::string& where) {
  if (!json.is_array()) refuse_json(where, "a list", json);
  MaskHistory history;
  for (const nlohmann::json& item : json) {
    const std::string place = fmt::format("{}[{}]", where, history.size());
    MaskEntry entry = entry_from_json(item, place);
    const int64_t before = history.empty() ? -1 : history.back().first_step;
    if (entry.first_step <= before) refuse_json(place + ".first_step", "rising steps from 0", item);
    history.push_back(std::move(entry));
  }
  return history;
}

}  // namespace phalanx
