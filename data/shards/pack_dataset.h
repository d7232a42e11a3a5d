#pragma once
// From text to a data set: reads documents, holds some out, shuffles, tokenizes, writes shards.
//
// Local. Makes OUTPUT/train and, when anything is held out, OUTPUT/validation (FORMAT.md); the
// whole of OUTPUT appears at once, by the commit protocol of data/file.h. The bytes depend on the
// documents, the paths' order, the tokenizer and the options, never on the number of threads.
// The text is read twice (plan, then tokenize), so memory holds 56 bytes a document and one batch.
// Threads: each tokenizing thread has an encoder of its own; `progress` is called from the
// caller's. Errors: std::invalid_argument (input, options), std::system_error (machine). OUTPUT is
// then as it was; what was begun stays in OUTPUT.tmp until the next attempt.
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/shards/dataset_manifest.h"

namespace phalanx {

inline constexpr int64_t kDefaultShardTokens = int64_t{1} << 30;

struct PackOptions {
  std::vector<std::string> inputs;  // patterns, see input_paths.h
  std::filesystem::path output;     // must not be there yet
  std::string name;
  DatasetKind kind = DatasetKind::kOrganic;
  std::string licence;
  uint64_t seed = 0;
  int64_t validation_per_mille = 0;  // of documents, 0 to 500
  int64_t shard_tokens = kDefaultShardTokens;
  int num_threads = 1;
};

using EncodeText = std::function<std::vector<int32_t>(std::string_view)>;

/// What packing needs to know of a tokenizer.
struct PackTokenizer {
  std::function<EncodeText()> make_encoder;  // called once for each thread, from the caller's
  int64_t vocab_size = 0;
  int32_t end_of_document = 0;
  std::string fingerprint;
};

struct PackProgress {
  enum class Stage { kReading, kTokenizing } stage = Stage::kReading;
  int64_t documents = 0;        // done in this stage
  int64_t documents_total = 0;  // 0 while reading
  int64_t text_bytes = 0;       // done in this stage
};

struct PackResult {
  DatasetManifest train;
  std::optional<DatasetManifest> validation;
};

PackResult pack_dataset(const PackOptions& options, const PackTokenizer& tokenizer,
                        const std::function<void(const PackProgress&)>& progress);

}  // namespace phalanx
