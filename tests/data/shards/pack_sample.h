#pragma once
// A small job of packing for the tests: JSON lines with duplicates and empty documents, a text
// file, and a tokenizer whose ids are bytes, so that documents can be read back from the shards.
// Local; one owner.
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "data/shards/dataset_reader.h"
#include "data/shards/pack_dataset.h"
#include "tests/data/shards/scratch.h"

namespace phalanx {

inline constexpr int32_t kEnd = 256;

/// Bytes are tokens: documents can be read back from the shards.
inline PackTokenizer byte_tokenizer() {
  return {.make_encoder =
              [] {
                return [](std::string_view text) {
                  std::vector<int32_t> ids;
                  for (const char c : text) ids.push_back(static_cast<unsigned char>(c));
                  return ids;
                };
              },
          .vocab_size = 257,
          .end_of_document = kEnd,
          .fingerprint = "bytes"};
}

inline std::vector<std::string> documents_of(const std::filesystem::path& folder) {
  const DatasetReader reader(folder);
  std::vector<int32_t> tokens(static_cast<size_t>(reader.num_tokens()));
  reader.read_tokens(0, tokens);
  std::vector<std::string> documents(1);
  for (const int32_t id : tokens) {
    if (id == kEnd) {
      documents.emplace_back();
    } else {
      documents.back() += static_cast<char>(id);
    }
  }
  EXPECT_TRUE(documents.back().empty()) << "the last document has no end";
  documents.pop_back();
  return documents;
}

inline std::map<std::string, std::string> bytes_of_tree(const std::filesystem::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    files[entry.path().lexically_relative(folder).string()] = slurp(entry.path());
  }
  return files;
}

class Pack : public ::testing::Test {
 protected:
  Pack() {
    std::string lines;
    for (int i = 0; i < 400; ++i) {
      const std::string text = "document " + std::to_string(i) + std::string(i % 17, '.');
      lines += "{\"text\": \"" + text + "\"}\n";
      texts_.push_back(text);
      if (i % 10 == 0) {  // duplicates, and empty documents between
        lines += "{\"text\": \"" + text + "\"}\n{\"text\": \"\"}\n";
        texts_.push_back(text);
      }
    }
    spill(scratch_ / "in/a.jsonl", lines);
    spill(scratch_ / "in/b.txt", "a text file\nof two lines");
    texts_.push_back("a text file\nof two lines");
    options_.inputs = {(scratch_ / "in").string()};
    options_.output = scratch_ / "out";
    options_.name = "sample";
    options_.seed = 7;
    options_.validation_per_mille = 100;
    options_.shard_tokens = 1000;
  }

  PackResult pack(const std::string& output) {
    options_.output = scratch_ / output;
    return pack_dataset(options_, byte_tokenizer(), {});
  }

  const Scratch scratch_;
  std::vector<std::string> texts_;
  PackOptions options_;
};

}  // namespace phalanx
