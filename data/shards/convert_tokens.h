#pragma once
// Token files of other trainers, without an index, become a data set: documents are cut at the
// end-of-document token. FORMAT.md, "Converted token files", says which files and how.
//
// Local; one thread. Memory: a block of the input, the document at hand (at most kMaxDocument
// tokens) and what PartWriter takes. Writes OUTPUT/train and, where there is any, OUTPUT/validation
// as packing does: all of it or nothing.
// Errors: std::invalid_argument with file, place, expected and found: a header that does not fit
// the file, an id outside the vocabulary (the wrong tokenizer), a file of unknown kind. Nothing is
// committed then. System errors are thrown.
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <vector>

#include "data/shards/dataset_manifest.h"
#include "data/shards/pack_dataset.h"

namespace phalanx {

/// A longer document is refused: it means that no end-of-document token was recognised.
inline constexpr int64_t kMaxConvertedDocument = int64_t{1} << 26;

enum class TokenFileKind {
  kLlmc,     // llm.c: a header; the token stands in front of each document
  kNanoGpt,  // nanoGPT: uint16 ids and nothing else; the token stands behind each document
};

struct ConvertOptions {
  std::vector<std::filesystem::path> inputs;      // one stream, in this order
  std::vector<std::filesystem::path> validation;  // likewise, held out; may be empty
  std::filesystem::path output;                   // must not exist
  std::optional<TokenFileKind> kind;              // nothing: llm.c, known by its header
  int64_t shard_tokens = kDefaultShardTokens;
  /// Name, kind, licence, tokenizer, vocabulary, end_of_document and packing.shuffled.
  DatasetManifest facts;
};

struct ConvertedPart {
  DatasetManifest manifest;
  int64_t tokens_read = 0;
  int64_t ends_read = 0;         // end-of-document tokens among them
  int64_t joined_documents = 0;  // that run on from one file into the next
};

struct ConvertResult {
  ConvertedPart train;
  std::optional<ConvertedPart> validation;
};

ConvertResult convert_tokens(
    const ConvertOptions& options,
    const std::function<void(int64_t bytes, int64_t bytes_total)>& progress);

}  // namespace phalanx
