#pragma once
// The rows of one source: a data set's tokens cut into windows of T targets.
//
// Window i is tokens [iT, iT + T] of the range, so neighbours share one token and every token but
// the first is a target once; the last window is filled with the end-of-document token, whose
// targets do not count. The order in which windows are drawn is not decided here.
// Local. Shares the reader; const methods may run in several threads at once.
// Errors: as DatasetReader's; an id outside the vocabulary is std::invalid_argument with shard
// file, position, id and size of the vocabulary.
#include <cstdint>
#include <memory>
#include <optional>

#include "data/mixture/masked_documents.h"
#include "data/mixture/row_source.h"
#include "data/shards/dataset_reader.h"

namespace phalanx {

struct SourceLoaderConfig {
  int64_t sequence_length = 0;  // T
  /// Ids from this on are refused; without it, the data set's own vocabulary is the limit.
  std::optional<int64_t> vocab_size = std::nullopt;
  /// The tokens used: [first_token, end_token), by default all. A validation part of a data set
  /// that was made elsewhere is its last tokens.
  int64_t first_token = 0;
  std::optional<int64_t> end_token = std::nullopt;
  std::shared_ptr<const MaskedDocuments> masked = nullptr;  // none: all targets count
};

class SourceLoader : public RowSource {
 public:
  /// Throws std::invalid_argument when the range holds fewer than two tokens.
  SourceLoader(std::shared_ptr<const DatasetReader> reader, const SourceLoaderConfig& config);

  int64_t num_rows() const override { return num_rows_; }
  void read(int64_t window, Row& row) const override;
  std::vector<int64_t> shard_rows() const override { return shard_rows_; }
  bool wants_to_know() const override { return !reader_->source().folder(); }
  void expect(const std::vector<size_t>& shards) const override;
  void stop_waiting() const override { reader_->source().stop_waiting(); }

  const DatasetReader& reader() const { return *reader_; }
  std::shared_ptr<const DatasetReader> dataset() const { return reader_; }
  /// The data set's number of the first token of `window`.
  int64_t first_token(int64_t window) const { return first_token_ + window * length_; }

 private:
  void count_rows();

  std::shared_ptr<const DatasetReader> reader_;
  int64_t length_, vocab_size_, first_token_, end_token_, num_rows_;
  std::shared_ptr<const MaskedDocuments> masked_;
  std::vector<int64_t> shard_rows_;
};

}  // namespace phalanx
