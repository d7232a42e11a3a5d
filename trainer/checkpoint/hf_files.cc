#include "trainer/checkpoint/hf_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "data/file.h"
#include "trainer/checkpoint/strict_json.h"

namespace phalanx {
namespace {

using nlohmann::json;

constexpr int64_t kMaxFileBytes = int64_t{256} << 20;
constexpr const char* kTokenizer = "tokenizer.json";
constexpr std::array<const char*, 10> kNames{kTokenizer,
                                             "tokenizer_config.json",
                                             "special_tokens_map.json",
                                             "added_tokens.json",
                                             "vocab.json",
                                             "merges.txt",
                                             "tokenizer.model",
                                             "chat_template.jinja",
                                             "chat_template.json",
                                             "generation_config.json"};

/// One more than the greatest id. A vocabulary is an object of ids, or a list in their order.
int64_t num_ids(const json& tokenizer, const std::string& where) {
  const json& vocabulary = member(member(tokenizer, "model", where), "vocab", where + ": model");
  int64_t greatest = vocabulary.is_array() ? static_cast<int64_t>(vocabulary.size()) - 1 : -1;
  if (vocabulary.is_object()) {
    for (const auto& [token, id] : vocabulary.items()) {
      greatest = std::max(greatest, integer(id, where + ": model.vocab"));
    }
  }
  if (!tokenizer.contains("added_tokens")) return greatest + 1;
  for (const json& token : tokenizer["added_tokens"]) {
    const std::string place = where + ": added_tokens";
    greatest = std::max(greatest, integer(member(token, "id", place), place + ".id"));
  }
  return greatest + 1;
}

}  // namespace

HfFiles read_hf_files(const std::filesystem::path& folder) {
  HfFiles files;
  for (const char* name : kNames) {
    if (!std::filesystem::is_regular_file(folder / name)) continue;
    files[name] = read_text(folder / name, kMaxFileBytes);
  }
  return files;
}

void check_json_files(const HfFiles& files, const std::string& folder) {
  for (const auto& [name, contents] : files) {
    if (!name.ends_with(".json")) continue;
    const std::string where = fmt::format("{}/{}", folder, name);
    const json parsed = parse_strict_json(contents, where);
    if (parsed.is_object()) continue;
    throw std::invalid_argument(
        fmt::format("{}: expected a JSON object, found {}", where, parsed.type_name()));
  }
}

void check_tokenizer_fits(const HfFiles& files, int64_t vocab_size, const std::string& folder) {
  const auto file = files.find(kTokenizer);
  if (file == files.end()) return;
  const std::string where = fmt::format("{}/{}", folder, kTokenizer);
  const int64_t found = num_ids(parse_strict_json(file->second, where), where);
  if (found <= vocab_size) return;
  throw std::invalid_argument(
      fmt::format("{}: expected ids below the model's vocab_size {}, found ids up to {}", where,
                  vocab_size, found - 1));
}

}  // namespace phalanx
