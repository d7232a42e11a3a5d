// cl100k_base.tiktoken -> TokenizerParts.
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <string_view>

#include "data/tokenizer/tokenizer_file.h"

namespace phalanx {
namespace {

constexpr size_t kNumRanks = 100256;
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

void read_line(std::string_view line, const std::string& place, std::vector<std::string>& tokens) {
  const size_t space = line.find(' ');
  const std::optional<std::string> bytes = from_base64(line.substr(0, space));
  const std::optional<size_t> rank =
      space == std::string_view::npos ? std::nullopt : read_rank(line.substr(space + 1));
  if (!bytes || bytes->empty() || !rank) {
    throw std::invalid_argument(place + ": expected a token in base64, one space and a rank");
  }
  if (bytes->size() > kMaxTokenBytes) {
    throw std::invalid_argument(fmt::format("{}: expected a token of at most {} bytes, found {}",
                                            place, kMaxTokenBytes, bytes->size()));
  }
  if (*rank >= kNumRanks) {
    throw std::invalid_argument(
        fmt::format("{}: expected a rank of 0..{}, found {}", place, kNumRanks - 1, *rank));
  }
  if (!tokens[*rank].empty()) {
    throw std::invalid_argument(fmt::format("{}: rank {} appears twice", place, *rank));
  }
  tokens[*rank] = *bytes;
}

// The file names no merges: two neighbours merge where their bytes together are a token, and that
// token's rank is the merge's. So every way to cut a token into two others is a merge.
std::vector<Merge> merges_of(const std::vector<std::string>& tokens, const std::string& origin) {
  std::vector<int32_t> ids;
  for (size_t id = 0; id < tokens.size(); ++id) ids.push_back(static_cast<int32_t>(id));
  const TokenIndex index(tokens, ids);
  std::vector<Merge> merges;
  for (const int32_t id : ids) {
    const std::string_view token = tokens[static_cast<size_t>(id)];
    if (index.find(token) != id) {
      throw std::invalid_argument(
          fmt::format("{}: ranks {} and {} are the same token", origin, index.find(token), id));
    }
    for (size_t cut = 1; cut < token.size(); ++cut) {
      const int32_t left = index.find(token.substr(0, cut));
      const int32_t right = left == -1 ? -1 : index.find(token.substr(cut));
      if (right != -1) merges.push_back({left, right, id, static_cast<uint32_t>(id)});
    }
  }
  return merges;
}

}  // namespace

TokenizerParts parse_cl100k_ranks(const std::string& text, const std::string& origin) {
  std::vector<std::string> tokens(kNumRanks);
  size_t num_lines = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string place = fmt::format("{}: line {}", origin, ++num_lines);
    read_line(std::string_view(text).substr(begin, end - begin), place, tokens);
    begin = end + 1;
  }
  if (num_lines != kNumRanks) {
    throw std::invalid_argument(fmt::format("{}: expected the {} ranks of cl100k_base, found {}",
                                            origin, kNumRanks, num_lines));
  }
  TokenizerParts parts;
  parts.pattern = SplitPattern::kCl100kTiktoken;
  parts.whole_pieces_first = true;
  parts.merges = merges_of(tokens, origin);
  parts.tokens = std::move(tokens);
  parts.specials = {{"<|endoftext|>", 100257},
                    {"<|fim_prefix|>", 100258},
                    {"<|fim_middle|>", 100259},
                    {"<|fim_suffix|>", 100260},
                    {"<|endofprompt|>", 100276}};
  parts.tokens.resize(100277);
  for (const SpecialToken& special : parts.specials) {
    parts.tokens[static_cast<size_t>(special.id)] = special.content;
  }
  return parts;
}

}  // namespace phalanx
