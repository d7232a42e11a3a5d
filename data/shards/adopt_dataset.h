#pragma once
// Makes a corpus in Megatron's layout, written by another program, a data set: checks and hashes
// its files and writes dataset.json, nothing else. FORMAT.md, "Adopted data sets".
//
// Local; one thread; memory is one block of 16 MiB. Everything is read once.
// Errors: std::invalid_argument with file, place, expected and found: a damaged index, an id
// outside the vocabulary (the wrong tokenizer), shards of different dtypes, prefixes that cannot
// form one data set, a dataset.json that is there. Nothing is written then. System errors are
// thrown.
#include <cstdint>
#include <filesystem>
#include <functional>
#include <vector>

#include "data/shards/dataset_manifest.h"

namespace phalanx {

struct AdoptOptions {
  /// PREFIX of PREFIX.bin and PREFIX.idx (either file's name will do); the shards, in this order.
  std::vector<std::filesystem::path> prefixes;
  /// Empty: dataset.json goes into the folder that holds all prefixes. Else a new folder with
  /// dataset.json and, for each shard, absolute symbolic links to its two files.
  std::filesystem::path output;
  /// Name, kind, licence, tokenizer, vocabulary, end_of_document and packing.shuffled; the rest is
  /// found here.
  DatasetManifest facts;
};

struct AdoptResult {
  std::filesystem::path folder;  // of dataset.json
  DatasetManifest manifest;
  int64_t max_id = 0;
  int64_t empty_documents = 0;        // without tokens
  int64_t documents_without_end = 0;  // whose last token is not end_of_document; not empty ones
};

AdoptResult adopt_dataset(const AdoptOptions& options,
                          const std::function<void(int64_t bytes, int64_t bytes_total)>& progress);

}  // namespace phalanx
