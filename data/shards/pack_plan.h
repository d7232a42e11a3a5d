#pragma once
// Which documents go to which part, and in which order: made from hashes alone, so that it depends
// on the documents and the seed and on nothing else.
// Pure. Memory: 56 bytes a document. A plan for more documents than fit memory can be made by an
// external sort on the same keys; its result would be the same.
#include <cstdint>
#include <string_view>
#include <vector>

#include "data/shards/document_source.h"

namespace phalanx {

/// A document that was read and not rejected.
struct PlannedDocument {
  DocumentPlace place;
  uint64_t content_hash = 0;
  uint64_t ordinal = 0;  // among all documents read, in input order
};

struct PackPlan {
  std::vector<PlannedDocument> train, validation;  // each in the order of writing
};

/// XXH3-64 of the text under a seed of its own. Equal texts have equal hashes and so share a part.
[[nodiscard]] uint64_t document_content_hash(std::string_view text);

/// Validation gets the documents with content_hash mod 1000 < per_mille: another packing of the
/// same texts holds out the same ones, whatever its seed. When that leaves validation without a
/// document, it gets the texts with the smallest hash. Inside a part documents are ordered by
/// XXH3-64(ordinal as 8 bytes, seed), ties by ordinal.
/// Throws std::invalid_argument when a part would be empty.
[[nodiscard]] PackPlan plan_packing(std::vector<PlannedDocument> documents, uint64_t seed,
                                    int64_t validation_per_mille);

}  // namespace phalanx
