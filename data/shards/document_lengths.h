#pragma once
// The length of each document of a shard, in order, from the index alone.
//
// Local. One owner. Reads the index in order and by blocks: memory does not depend on its size, and
// a document of any number of sequences costs no more than its entries. Lengths are tokens; a
// document without tokens has length 0.
// Errors: std::invalid_argument with file, entry, expected and found for a length below 0 and for a
// boundary that falls; system errors are thrown.
#include <cstdint>
#include <optional>
#include <vector>

#include "data/file.h"
#include "data/shards/shard_file.h"

namespace phalanx {

class DocumentLengths {
 public:
  explicit DocumentLengths(const ShardFile& shard);

  /// Of the next document; nothing after the last.
  [[nodiscard]] std::optional<int64_t> next();

 private:
  int64_t next_boundary();
  int64_t next_length();

  File idx_;
  IndexLayout layout_;
  int64_t document_ = 0;  // the next one
  int64_t sequence_ = 0;  // the first of that document
  std::vector<int64_t> boundaries_;
  std::vector<int32_t> lengths_;
  size_t boundary_at_ = 0, length_at_ = 0;  // inside the two blocks
};

}  // namespace phalanx
