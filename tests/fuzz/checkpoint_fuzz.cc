// manifest.json of a checkpoint, as it is, and its body under a right hash, which no mutation would
// hit. What is accepted keeps to its folder, covers each tensor once and reads back to the same
// text.
#include <nlohmann/json.hpp>

#include "data/block_hash.h"
#include "tests/fuzz/fuzz.h"
#include "trainer/checkpoint/manifest.h"

namespace phalanx::fuzz {
namespace {

void check(std::string_view input) {
  const auto manifest = accepted("m", [&] {
    Manifest read = parse_checkpoint_manifest(input, "m");
    check_coverage(read, "m");
    return read;
  });
  if (!manifest) return;
  for (const auto& [name, file] : manifest->files) {
    require(name.find('/') == std::string::npos && name.front() != '.', "a file is a plain name");
    require(file.bytes >= 0, "sizes are sizes");
  }
  for (const auto& [name, tensor] : manifest->tensors) {
    int64_t covered = 0;
    for (const ManifestPiece& piece : tensor.pieces) covered += piece.elements.size();
    require(covered == checked_numel(tensor.shape, "m"), "pieces have a tensor's elements");
  }
  const std::string text = manifest_text(*manifest);
  require(manifest_text(parse_checkpoint_manifest(text, "m")) == text,
          "what is written reads back");
}

void check_body(std::string_view input) {
  const auto body = nlohmann::json::parse(input, nullptr, /*allow_exceptions=*/false);
  if (body.is_discarded()) return;
  const nlohmann::json whole{{"format", "phalanx checkpoint"},
                             {"version", kCheckpointVersion},
                             {"xxh3", hash_text(xxh3(body.dump()))},
                             {"checkpoint", body}};
  check(whole.dump());
}

}  // namespace
}  // namespace phalanx::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  phalanx::fuzz::check(phalanx::fuzz::text_of(data, size));
  phalanx::fuzz::check_body(phalanx::fuzz::text_of(data, size));
  return 0;
}
