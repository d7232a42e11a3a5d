// *.tiktoken -> TokenizerParts.
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <span>
#include <stdexcept>
#include <string_view>

#include "data/tokenizer/rank_merges.h"
#include "data/tokenizer/tokenizer_file.h"

namespace phalanx {
namespace {

struct NamedId {
  std::string_view content;
  int32_t id;
};
constexpr NamedId kCl100kSpecials[] = {{"<|endoftext|>", 100257},
                                       {"<|fim_prefix|>", 100258},
                                       {"<|fim_middle|>", 100259},
                                       {"<|fim_suffix|>", 100260},
                                       {"<|endofprompt|>", 100276}};
constexpr NamedId kO200kSpecials[] = {{"<|endoftext|>", 199999}, {"<|endofprompt|>", 200018}};
constexpr NamedId kPhi4Specials[] = {
    {"<|im_start|>", 100264}, {"<|im_end|>", 100265}, {"<|im_sep|>", 100266}};
constexpr int32_t kPhi4Begin = 100256, kPhi4End = 100352;

// The files are known by the number of their ranks, which begin at 0 and leave none out.
struct RankFile {
  std::string_view name;
  size_t num_ranks;
  SplitPattern pattern;
  std::span<const NamedId> specials;
};
constexpr RankFile kCl100k{"cl100k_base", 100256, SplitPattern::kCl100kTiktoken, kCl100kSpecials};
constexpr RankFile kO200k{"o200k_base", 199998, SplitPattern::kO200k, kO200kSpecials};

constexpr size_t kMaxDigits = 9;
constexpr size_t kMaxTokenBytes = 1024;  // every cut of a token is tried; the longest known has 128

int base64_value(char c) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const size_t found = kDigits.find(c);
  return found == std::string_view::npos ? -1 : static_cast<int>(found);
}

std::optional<std::string> from_base64(std::string_view text) {
  if (text.empty() || text.size() % 4 != 0) return std::nullopt;
  while (text.ends_with('=')) text.remove_suffix(1);
  std::string bytes;
  uint32_t bits = 0;
  int num_bits = 0;
  for (const char c : text) {
    const int value = base64_value(c);
    if (value < 0) return std::nullopt;
    bits = bits << 6 | static_cast<uint32_t>(value);
    num_bits += 6;
    if (num_bits >= 8) {
      num_bits -= 8;
      bytes += static_cast<char>(bits >> num_bits);
    }
  }
  return bytes;
}

std::optional<size_t> read_rank(std::string_view digits) {
  if (digits.empty() || digits.size() > kMaxDigits) return std::nullopt;
  size_t rank = 0;
  for (const char c : digits) {
    if (c < '0' || c > '9') return std::nullopt;
    rank = rank * 10 + static_cast<size_t>(c - '0');
  }
  return rank;
}

void read_line(std::string_view line, const std::string& origin, size_t number,
               std::vector<std::string>& tokens) {
  const auto fail = [&](const std::string& problem) {
    throw std::invalid_argument(fmt::format("{}: line {}: {}", origin, number, problem));
  };
  const size_t space = line.find(' ');
  std::optional<std::string> bytes = from_base64(line.substr(0, space));
  const std::optional<size_t> rank =
      space == std::string_view::npos ? std::nullopt : read_rank(line.substr(space + 1));
  if (!bytes || bytes->empty() || !rank) fail("expected a token in base64, one space and a rank");
  if (bytes->size() > kMaxTokenBytes) {
    fail(fmt::format("expected a token of at most {} bytes, found {}", kMaxTokenBytes,
                     bytes->size()));
  }
  if (*rank >= tokens.size()) {
    fail(fmt::format("expected a rank of 0..{}, found {}", tokens.size() - 1, *rank));
  }
  if (!tokens[*rank].empty()) fail(fmt::format("rank {} appears twice", *rank));
  tokens[*rank] = *std::move(bytes);
}

std::vector<Merge> merges_of(const std::vector<std::string>& tokens, const std::string& origin) {
  std::vector<int32_t> ids;
  for (size_t id = 0; id < tokens.size(); ++id) ids.push_back(static_cast<int32_t>(id));
  const TokenIndex index(tokens, ids);
  for (const int32_t id : ids) {
    const int32_t first = index.find(tokens[static_cast<size_t>(id)]);
    if (first == id) continue;
    throw std::invalid_argument(
        fmt::format("{}: ranks {} and {} are the same token", origin, first, id));
  }
  std::optional<std::vector<Merge>> merges = rank_merges_that_count(tokens);
  return merges ? *std::move(merges) : all_rank_merges(tokens);
}

std::vector<SpecialToken> specials_of(std::span<const NamedId> named) {
  std::vector<SpecialToken> specials;
  for (const NamedId& each : named) specials.push_back({std::string(each.content), each.id});
  return specials;
}

void add_specials(TokenizerParts& parts, std::vector<SpecialToken> specials) {
  parts.specials = std::move(specials);
  for (const SpecialToken& special : parts.specials) {
    const auto id = static_cast<size_t>(special.id);
    if (parts.tokens.size() <= id) parts.tokens.resize(id + 1);
    parts.tokens[id] = special.content;
  }
}

// cl100k's, three of its own, and a dummy for every other id.
std::vector<SpecialToken> phi4_specials() {
  std::vector<SpecialToken> specials = specials_of(kCl100kSpecials);
  for (const SpecialToken& special : specials_of(kPhi4Specials)) specials.push_back(special);
  int dummy = 0;
  for (int32_t id = kPhi4Begin; id < kPhi4End; ++id) {
    const bool named = std::any_of(specials.begin(), specials.end(),
                                   [id](const SpecialToken& special) { return special.id == id; });
    if (!named) specials.push_back({fmt::format("<|dummy_{}|>", dummy++), id});
  }
  for (SpecialToken& special : specials) special.strip_left = special.strip_right = true;
  return specials;
}

}  // namespace

TokenizerParts parse_ranks(const std::string& text, const std::string& origin) {
  const size_t num_lines = static_cast<size_t>(std::count(text.begin(), text.end(), '\n')) +
                           (text.empty() || text.ends_with('\n') ? 0 : 1);
  const RankFile& kind = num_lines == kCl100k.num_ranks ? kCl100k : kO200k;
  std::vector<std::string> tokens(kind.num_ranks);
  size_t number = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    read_line(std::string_view(text).substr(begin, end - begin), origin, ++number, tokens);
    begin = end + 1;
  }
  if (num_lines != kind.num_ranks) {
    throw std::invalid_argument(
        fmt::format("{}: expected the {} ranks of {} or the {} of {}, found {}", origin,
                    kCl100k.num_ranks, kCl100k.name, kO200k.num_ranks, kO200k.name, num_lines));
  }
  TokenizerParts parts;
  parts.pattern = kind.pattern;
  parts.whole_pieces_first = true;
  parts.of_ranks = true;
  parts.merges = merges_of(tokens, origin);
  parts.tokens = std::move(tokens);
  add_specials(parts, specials_of(kind.specials));
  return parts;
}

TokenizerParts phi4_parts(const TokenizerParts& ranks, const std::string& origin) {
  const auto named = [&ranks](const NamedId& special) {
    return std::any_of(ranks.specials.begin(), ranks.specials.end(), [&](const auto& found) {
      return found.id == special.id && found.content == special.content;
    });
  };
  if (ranks.pattern != kCl100k.pattern || ranks.specials.size() != std::size(kCl100kSpecials) ||
      !std::all_of(std::begin(kCl100kSpecials), std::end(kCl100kSpecials), named)) {
    throw std::invalid_argument(
        fmt::format("{}: expected the ranks of {}, which phi-4's specials extend, found another "
                    "tokenizer",
                    origin, kCl100k.name));
  }
  TokenizerParts parts = ranks;
  parts.pattern = SplitPattern::kCl100k;
  parts.whole_pieces_first = parts.of_ranks = false;
  add_specials(parts, phi4_specials());
  return parts;
}

}  // namespace phalanx
