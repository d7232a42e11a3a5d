// Tokenizer files: what is accepted gives every text back, in ids that it has. An input that begins
// with `#` is a rank file (the rest of it), one with `%` the tokens of one, a line each behind the
// 256 bytes; any other is a tokenizer.json.
#include <algorithm>
#include <set>

#include "data/tokenizer/rank_merges.h"
#include "data/tokenizer/tokenizer.h"
#include "data/tokenizer/tokenizer_file.h"
#include "tests/data/tokenizer/tokenizer_samples.h"
#include "tests/fuzz/fuzz.h"

namespace phalanx::fuzz {
namespace {

constexpr size_t kMaxTokens = 512, kMaxTokenBytes = 64;

/// What a tokenizer may make of a text.
enum class Change { kNone, kOnce, kAny };

/// A normalizer and a space in front change a text once; a token that is found in any text and
/// takes the white space beside it along may leave a text in which others are found.
Change change_by(const TokenizerParts& parts) {
  const auto finds = [](const SpecialToken& special) { return special.in_any_text; };
  const auto strips = [&](const SpecialToken& special) {
    return finds(special) && (special.strip_left || special.strip_right);
  };
  const auto any = [&](const auto& holds) {
    return std::any_of(parts.specials.begin(), parts.specials.end(), holds);
  };
  if (any(strips)) return Change::kAny;
  if (!parts.nfc && !parts.prefix_space) return Change::kNone;
  return any(finds) ? Change::kAny : Change::kOnce;
}

void check_texts(const Tokenizer& tokenizer, const std::vector<std::string>& texts) {
  const Change change = change_by(tokenizer.parts());
  for (const std::string& text : texts) {
    const std::vector<int32_t> ids = tokenizer.encode(text);
    for (const int32_t id : ids) {
      require(id >= 0 && id < tokenizer.vocab_size(), "ids are of the vocabulary");
    }
    const std::string found = tokenizer.decode(ids);
    require(found == text || change != Change::kNone, "a text comes back");
    if (change != Change::kOnce) continue;
    require(tokenizer.decode(tokenizer.encode(found)) == found, "a text changes once");
  }
}

void check_file(std::string_view input) {
  const bool ranks = input.starts_with('#');
  const auto tokenizer = accepted("t", [&] {
    TokenizerParts parts = ranks ? parse_ranks(std::string(input.substr(1)), "t")
                                 : parse_tokenizer_json(std::string(input), "t");
    return std::make_unique<Tokenizer>(std::move(parts), "t");
  });
  if (!tokenizer) return;
  check_texts(**tokenizer, testing::hostile_texts());
  const Tokenizer again(parse_tokenizer_json(tokenizer_json(**tokenizer), "t"), "t");
  require(again.fingerprint() == (*tokenizer)->fingerprint(), "what is written reads back");
}

/// No two are the same, as parse_ranks() demands.
std::vector<std::string> rank_tokens(std::string_view input) {
  std::vector<std::string> tokens;
  for (int byte = 0; byte < 256; ++byte) tokens.emplace_back(1, static_cast<char>(byte));
  std::set<std::string_view> seen;
  while (!input.empty() && tokens.size() < kMaxTokens) {
    const size_t end = std::min(input.find('\n'), input.size());
    const std::string_view token = input.substr(0, std::min(end, kMaxTokenBytes));
    if (token.size() > 1 && seen.insert(token).second) tokens.emplace_back(token);
    input.remove_prefix(std::min(end + 1, input.size()));
  }
  return tokens;
}

Tokenizer tokenizer_of(const std::vector<std::string>& tokens, std::vector<Merge> merges) {
  TokenizerParts parts;
  parts.pattern = SplitPattern::kCl100kTiktoken;
  parts.whole_pieces_first = parts.of_ranks = true;
  parts.tokens = tokens;
  parts.merges = std::move(merges);
  return Tokenizer(std::move(parts), "t");
}

/// A rank file of fewer ranks than one that parse_ranks() knows: merges that are left out would
/// have changed nothing.
void check_ranks(std::string_view input) {
  const std::vector<std::string> tokens = rank_tokens(input);
  std::vector<std::string> texts = testing::hostile_texts();
  texts.emplace_back(input);
  const Tokenizer all = tokenizer_of(tokens, all_rank_merges(tokens));
  check_texts(all, texts);
  std::optional<std::vector<Merge>> merges = rank_merges_that_count(tokens);
  if (!merges) return;
  const Tokenizer few = tokenizer_of(tokens, *std::move(merges));
  for (const std::string& text : texts) {
    require(few.encode(text) == all.encode(text), "the merges that count are enough");
  }
}

}  // namespace
}  // namespace phalanx::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input = phalanx::fuzz::text_of(data, size);
  if (input.starts_with('%')) {
    phalanx::fuzz::check_ranks(input.substr(1));
  } else {
    phalanx::fuzz::check_file(input);
  }
  return 0;
}
