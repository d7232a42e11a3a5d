// dataset.json: what is accepted keeps to its folder and reads back to the same text.
#include "data/shards/dataset_manifest.h"
#include "tests/fuzz/fuzz.h"

namespace phalanx::fuzz {
namespace {

void check(std::string_view input) {
  const auto manifest = accepted("m.json", [&] { return parse_manifest(input, "m.json"); });
  if (!manifest) return;
  int64_t tokens = 0;
  for (const ShardEntry& shard : manifest->shards) {
    require(std::filesystem::path(shard.file).filename() == shard.file && shard.file != ".." &&
                shard.file != "." && shard.file.find('\0') == std::string::npos,
            "a shard is a plain name inside the folder");
    require(shard.num_tokens >= 0 && shard.num_documents >= 0, "counts are counts");
    require(!__builtin_add_overflow(tokens, shard.num_tokens, &tokens), "totals fit");
  }
  require(manifest->num_tokens() == tokens, "the total is the sum");
  const std::string text = manifest_json(*manifest);
  require(manifest_json(parse_manifest(text, "m.json")) == text, "what is written reads back");
}

}  // namespace
}  // namespace phalanx::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  phalanx::fuzz::check(phalanx::fuzz::text_of(data, size));
  return 0;
}
