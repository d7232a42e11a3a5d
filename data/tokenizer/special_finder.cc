#include "data/tokenizer/special_finder.h"

#include <algorithm>
#include <utility>

namespace phalanx {
namespace {

unsigned char first_byte(const SpecialFinder::Sought& sought) {
  return static_cast<unsigned char>(sought.text[0]);
}

}  // namespace

SpecialFinder::SpecialFinder(std::vector<Sought> tokens) : tokens_(std::move(tokens)) {
  std::stable_sort(tokens_.begin(), tokens_.end(), [](const Sought& a, const Sought& b) {
    if (first_byte(a) != first_byte(b)) return first_byte(a) < first_byte(b);
    return a.text.size() > b.text.size();
  });
  for (const Sought& sought : tokens_) ++starts_[size_t{first_byte(sought)} + 1];
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
      const std::string& sought = tokens_[i].text;
      if (text.substr(at).starts_with(sought)) return {at, at + sought.size(), tokens_[i].token};
    }
  }
  return {text.size(), text.size(), nullptr};
}

}  // namespace phalanx
