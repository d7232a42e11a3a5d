#pragma once
// One document of a data set, found by its ordinal and shown as text: for `phalanx data inspect`.
// Local. Errors: std::invalid_argument for an ordinal outside the data set, a tokenizer that did
// not make it, an id that the tokenizer lacks; what DatasetReader throws.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/json_fields.h"
#include "data/shards/dataset_reader.h"
#include "data/shards/origins.h"
#include "data/tokenizer/tokenizer.h"

namespace phalanx {

struct InspectedDocument {
  int64_t ordinal = 0;  // in the data set, from 0
  std::string shard;
  int64_t position = 0;  // token of the shard where it begins
  int64_t length = 0;    // tokens
  std::vector<int32_t> tokens;
  std::optional<DocumentOrigin> origin;  // where packing recorded it
};

/// With the first `max_tokens` of its tokens.
[[nodiscard]] InspectedDocument find_document(const DatasetReader& reader,
                                              const OriginReader& origins, int64_t ordinal,
                                              int64_t max_tokens);

/// Ordinals of `count` documents, or of all if there are fewer, evenly over the data set.
[[nodiscard]] std::vector<int64_t> sample_ordinals(int64_t num_documents, int64_t count);

/// Loads a tokenizer for data sets whose manifests name its fingerprint.
[[nodiscard]] std::unique_ptr<Tokenizer> load_tokenizer_of(const std::string& path,
                                                           const DatasetReader& reader);

/// The place in one line: "document 17: shard-00000, token 1234, 245 tokens, from books.jsonl:9".
[[nodiscard]] std::string document_line(const InspectedDocument& document);

/// Text if there is a tokenizer, else the ids.
[[nodiscard]] std::string document_text(const InspectedDocument& document,
                                        const Tokenizer* tokenizer);

[[nodiscard]] Json document_json(const InspectedDocument& document, const Tokenizer* tokenizer);

}  // namespace phalanx
