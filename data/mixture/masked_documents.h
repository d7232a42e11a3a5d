#pragma once
// A list of documents whose targets do not count, though they are read as before: the order of the
// data stays what it was. SEMANTICS.md section 8.
// Local, pure but for reading the list. Errors: std::invalid_argument with file and line.
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "data/mixture/row_source.h"

namespace phalanx {

/// Numbers of documents over the shards of a data set, rising.
using MaskedDocuments = std::vector<int64_t>;

/// A text file with one number a line; what follows a `#`, and empty lines, say nothing.
[[nodiscard]] std::shared_ptr<const MaskedDocuments> read_masked_documents(
    const std::filesystem::path& path, int64_t num_documents);

/// XXH3-64 of the numbers without repetitions, 8 bytes each, little-endian: what a list means.
[[nodiscard]] std::string hash_of(const MaskedDocuments& masked);

/// Sets row.masked_targets from row.documents. A target belongs to the document that holds it.
void mask_documents(const MaskedDocuments& masked, Row& row);

}  // namespace phalanx
