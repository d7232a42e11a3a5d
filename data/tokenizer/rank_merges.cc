#include "data/tokenizer/rank_merges.h"

#include <algorithm>
#include <string_view>

#include "data/tokenizer/token_index.h"

namespace phalanx {

std::optional<std::vector<Merge>> rank_merges_that_count(const std::vector<std::string>& tokens) {
  std::vector<int32_t> byte_ids(256, -1);
  for (size_t id = 0; id < tokens.size(); ++id) {
    if (tokens[id].size() != 1) continue;
    byte_ids[static_cast<unsigned char>(tokens[id][0])] = static_cast<int32_t>(id);
  }
  if (std::count(byte_ids.begin(), byte_ids.end(), -1) != 0) return std::nullopt;
  std::vector<Merge> merges;
  BpeMerger merger(merges, tokens.size());
  MergeScratch scratch;
  std::vector<int32_t> parts;
  for (size_t id = 0; id < tokens.size(); ++id) {
    if (tokens[id].size() == 1) continue;
    parts.clear();
    for (const char byte : tokens[id]) {
      parts.push_back(byte_ids[static_cast<unsigned char>(byte)]);
    }
    merger.merge(parts, 0, scratch);
    if (parts.size() != 2) return std::nullopt;
    merges.push_back({parts[0], parts[1], static_cast<int32_t>(id), static_cast<uint32_t>(id)});
    merger.add(merges.back());
  }
  return merges;
}

std::vector<Merge> all_rank_merges(const std::vector<std::string>& tokens) {
  std::vector<int32_t> ids;
  for (size_t id = 0; id < tokens.size(); ++id) {
    if (!tokens[id].empty()) ids.push_back(static_cast<int32_t>(id));
  }
  const TokenIndex index(tokens, ids);
  std::vector<Merge> merges;
  for (size_t id = 0; id < tokens.size(); ++id) {
    const std::string_view token = tokens[id];
    for (size_t cut = 1; cut < token.size(); ++cut) {
      const int32_t left = index.find(token.substr(0, cut));
      const int32_t right = left == -1 ? -1 : index.find(token.substr(cut));
      if (right == -1) continue;
      merges.push_back({left, right, static_cast<int32_t>(id), static_cast<uint32_t>(id)});
    }
  }
  return merges;
}

}  // namespace phalanx
