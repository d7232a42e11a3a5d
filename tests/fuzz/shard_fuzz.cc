// The index of a shard. The first two bytes are the size of the token file, the rest is the index.
// What a whole check passes has rising documents, the same by every way to ask for them.
#include <algorithm>
#include <vector>

#include "data/shards/shard_file.h"
#include "tests/fuzz/fuzz.h"

namespace phalanx::fuzz {
namespace {

void check_documents(const ShardFile& shard) {
  const int64_t count = shard.num_documents();
  std::vector<int64_t> starts(static_cast<size_t>(count + 1));
  shard.document_starts(0, starts);
  require(starts.front() >= 0 && starts.back() == shard.num_tokens(), "documents lie in the file");
  require(std::is_sorted(starts.begin(), starts.end()), "documents rise");
  for (int64_t i = count; i >= 0; --i) {
    require(shard.document_start(i) == starts[static_cast<size_t>(i)],
            "one by one, documents begin where they begin in a row");
  }
  if (shard.num_tokens() == 0) return;
  std::vector<int64_t> begins, numbers, expected;
  shard.append_documents(0, shard.num_tokens(), 0, 0, begins, numbers);
  for (size_t i = 0; i + 1 < starts.size(); ++i) {
    if (starts[i] < starts[i + 1] && starts[i] > 0) expected.push_back(starts[i]);
  }
  std::erase(begins, 0);
  require(begins == expected, "a window over all has every document with tokens");
}

void check(std::string_view input) {
  if (input.size() < 2) return;
  const auto bin_bytes = static_cast<size_t>(static_cast<uint8_t>(input[0])) |
                         static_cast<size_t>(static_cast<uint8_t>(input[1])) << 8;
  const std::filesystem::path prefix = folder() / "s";
  std::string bin(bin_bytes, '\0');
  for (size_t i = 0; i < bin.size(); ++i) bin[i] = static_cast<char>(i % 7);
  spill(prefix.string() + ".bin", bin);
  spill(prefix.string() + ".idx", input.substr(2));
  (void)accepted(prefix.string(), [&] {
    const ShardFile shard(prefix);
    std::vector<int32_t> tokens(static_cast<size_t>(shard.num_tokens()));
    shard.read_tokens(0, tokens);
    shard.check_index();
    check_documents(shard);
    return true;
  });
}

}  // namespace
}  // namespace phalanx::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  phalanx::fuzz::check(phalanx::fuzz::text_of(data, size));
  return 0;
}
