#include "data/tokenizer/special_finder.h"

#include <algorithm>
#include <utility>

namespace phalanx {
namespace {

unsigned char first_byte(const SpecialToken* token) {
  return static_cast<unsigned char>(token->content[0]);
}

}  // namespace

SpecialFinder::SpecialFinder(std::vector<const SpecialToken*> tokens) : tokens_(std::move(tokens)) {
  std::stable_sort(tokens_.begin(), tokens_.end(),
                   [](const SpecialToken* a, const SpecialToken* b) {
                     if (first_byte(a) != first_byte(b)) return first_byte(a) < first_byte(b);
                     return a->content.size() > b->content.size();
                   });
  for (const SpecialToken* token : tokens_) ++starts_[size_t{first_byte(token)} + 1];
  for (size_t i = 1; i < starts_.size(); ++i) starts_[i] += starts_[i - 1];
  if (!tokens_.empty() && first_byte(tokens_.front()) == first_byte(tokens_.back())) {
    only_first_ = first_byte(tokens_.front());
  }
}

size_t SpecialFinder::next_candidate(std::string_view text, size_t begin) const {
  if (only_first_ >= 0)
    return std::min(text.find(static_cast<char>(only_first_), begin), text.size());
  size_t at = begin;
  while (at < text.size()) {
    const auto byte = static_cast<unsigned char>(text[at]);
    if (starts_[byte] != starts_[size_t{byte} + 1]) break;
    ++at;
  }
  return at;
}

SpecialMatch SpecialFinder::find(std::string_view text, size_t begin) const {
  for (size_t at = next_candidate(text, begin); at < text.size();
       at = next_candidate(text, at + 1)) {
    const auto byte = static_cast<unsigned char>(text[at]);
    for (size_t i = starts_[byte]; i < starts_[size_t{byte} + 1]; ++i) {
      const SpecialToken* token = tokens_[i];
      if (text.substr(at).starts_with(token->content)) {
        return {at, at + token->content.size(), token};
      }
    }
  }
  return {text.size(), text.size(), nullptr};
}

}  // namespace phalanx
