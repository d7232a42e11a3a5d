// Tokenizer files: what is accepted gives every text back, in ids that it has. An input that begins
// with `#` is a rank file (the rest of it); any other is a tokenizer.json.
#include "data/tokenizer/tokenizer.h"
#include "data/tokenizer/tokenizer_file.h"
#include "tests/data/tokenizer/tokenizer_samples.h"
#include "tests/fuzz/fuzz.h"

namespace phalanx::fuzz {
namespace {

void check(std::string_view input) {
  const bool ranks = input.starts_with('#');
  const auto tokenizer = accepted("t", [&] {
    TokenizerParts parts = ranks ? parse_ranks(std::string(input.substr(1)), "t")
                                 : parse_tokenizer_json(std::string(input), "t");
    return std::make_unique<Tokenizer>(std::move(parts), "t");
  });
  if (!tokenizer) return;
  for (const std::string& text : testing::hostile_texts()) {
    const std::vector<int32_t> ids = (*tokenizer)->encode(text);
    for (const int32_t id : ids) {
      require(id >= 0 && id < (*tokenizer)->vocab_size(), "ids are of the vocabulary");
    }
    require((*tokenizer)->decode(ids) == text, "a text comes back");
  }
  const Tokenizer again(parse_tokenizer_json(tokenizer_json(**tokenizer), "t"), "t");
  require(again.fingerprint() == (*tokenizer)->fingerprint(), "what is written reads back");
}

}  // namespace
}  // namespace phalanx::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  phalanx::fuzz::check(phalanx::fuzz::text_of(data, size));
  return 0;
}
