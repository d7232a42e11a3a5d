#include "launch/commands/inspect_document.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <stdexcept>

#include "data/tokenizer/tokenizer_file.h"

namespace phalanx {

InspectedDocument find_document(const DatasetReader& reader, const OriginReader& origins,
                                int64_t ordinal, int64_t max_tokens) {
  const int64_t total = reader.manifest().num_documents();
  if (ordinal < 0 || ordinal >= total) {
    throw std::invalid_argument(
        fmt::format("{}: document: expected 0 to {}, found {}", reader.name(), total - 1, ordinal));
  }
  int64_t inside = ordinal;
  size_t shard = 0;
  while (inside >= reader.manifest().shards[shard].num_documents) {
    inside -= reader.manifest().shards[shard++].num_documents;
  }
  const std::shared_ptr<const ShardFile> file = reader.shard(shard);
  InspectedDocument found;
  found.ordinal = ordinal;
  found.shard = reader.manifest().shards[shard].file;
  found.position = file->document_start(inside);
  found.length = file->document_start(inside + 1) - found.position;
  if (found.length < 0) {
    throw std::invalid_argument(fmt::format(
        "{}: document {}: expected an end from token {} on, "
        "found {}",
        file->idx_path().string(), inside, found.position, found.position + found.length));
  }
  found.tokens.resize(static_cast<size_t>(std::min(found.length, max_tokens)));
  file->read_tokens(found.position, found.tokens);
  found.origin = origins.find(ordinal);
  return found;
}

std::vector<int64_t> sample_ordinals(int64_t num_documents, int64_t count) {
  count = std::min(count, num_documents);
  std::vector<int64_t> ordinals;
  // In the middle of each of `count` equal parts; 128 bits, since both factors may be large.
  for (int64_t i = 0; i < count; ++i) {
    const auto twice = static_cast<__int128>(2 * i + 1) * num_documents / count;
    ordinals.push_back(static_cast<int64_t>(twice / 2));
  }
  return ordinals;
}

std::unique_ptr<Tokenizer> load_tokenizer_of(const std::string& path, const DatasetReader& reader) {
  std::unique_ptr<Tokenizer> tokenizer = load_tokenizer(path);
  if (!tokenizer->made(reader.manifest().tokenizer)) {
    throw std::invalid_argument(
        fmt::format("--tokenizer {}: expected the tokenizer of {}, with fingerprint {}, found one "
                    "with {}",
                    path, reader.name(), reader.manifest().tokenizer, tokenizer->fingerprint()));
  }
  return tokenizer;
}

std::string document_line(const InspectedDocument& document) {
  return fmt::format("document {}: {}, token {}, {} tokens{}", document.ordinal, document.shard,
                     document.position, document.length,
                     document.origin ? ", from " + origin_text(*document.origin) : "");
}

std::string document_text(const InspectedDocument& document, const Tokenizer* tokenizer) {
  return tokenizer ? tokenizer->decode(document.tokens)
                   : fmt::format("{}", fmt::join(document.tokens, " "));
}

Json document_json(const InspectedDocument& document, const Tokenizer* tokenizer) {
  Json json = {{"document", document.ordinal},
               {"shard", document.shard},
               {"position", document.position},
               {"length", document.length},
               {"tokens", document.tokens}};
  if (document.origin) {
    json["origin"] = {{"file", document.origin->file}, {"line", document.origin->line}};
  }
  if (tokenizer) json["text"] = tokenizer->decode(document.tokens);
  return json;
}

}  // namespace phalanx
