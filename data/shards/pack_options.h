#pragma once
// What packing is told, and what it tells while it works. Values; local.
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "data/shards/dataset_manifest.h"
#include "data/shards/file_kind.h"

namespace phalanx {

inline constexpr int64_t kDefaultShardTokens = int64_t{1} << 30;
inline constexpr int64_t kDefaultPackMemory = int64_t{2} << 30;

struct PackOptions {
  std::vector<std::string> inputs;  // patterns, see input_paths.h
  std::filesystem::path output;     // must not be there yet
  std::string name;
  DatasetKind kind = DatasetKind::kOrganic;
  std::string licence;
  uint64_t seed = 0;
  int64_t validation_per_mille = 0;  // of documents, 0 to 500
  int64_t shard_tokens = kDefaultShardTokens;
  std::string text_field = "text";
  FileFormat format = FileFormat::kAuto;  // of all inputs
  std::vector<int64_t> bin_lengths;       // rows of whole documents are made for each (bins_file.h)
  int64_t unit_bytes = 0;                 // of input; 0: chosen by its size
  // These change no byte of the result, and may differ from one attempt to the next.
  int64_t max_bad_lines = 0;  // bad records, in the whole job
  int64_t memory_bytes = kDefaultPackMemory;
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

/// Which part of the work is this process's: the units and shards whose number mod `size` is
/// `index`.
struct JobShare {
  int64_t index = 0;
  int64_t size = 1;

  bool holds(int64_t number) const { return number % size == index; }
};

struct PackProgress {
  enum class Stage { kTokenizing, kPlanning, kWriting } stage = Stage::kTokenizing;
  int64_t done = 0;   // of this process's share: bytes of input files, documents planned, tokens
  int64_t total = 0;  // written; in the same unit
  int64_t text_bytes = 0;  // tokenized here
  int64_t documents = 0;   // tokenized here
  int64_t rejected = 0;    // bad lines met here
};
using ReportProgress = std::function<void(const PackProgress&)>;

}  // namespace phalanx
