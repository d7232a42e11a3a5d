#pragma once
// The rows of one source as bins of whole documents (best-fit packing): row i is bin i, counted
// over the shards in manifest order. SEMANTICS.md section 10.
//
// A row is its pieces one after another, each marked as a document of its own, and the
// end-of-document token behind them, whose targets do not count. It needs `document_mask`: the
// first token of a piece is nobody's target.
// Local. Shares the reader; const methods may run in several threads at once. Opens nothing; the
// file of bins of a shard is opened when it is first needed, in the reader's pool. Memory: 8 bytes
// a shard. Errors: as DatasetReader's and BinsFile's; an id outside the vocabulary as
// SourceLoader's.
#include <cstdint>
#include <memory>
#include <vector>

#include "data/mixture/source_loader.h"
#include "data/shards/bins_file.h"

namespace phalanx {

class BinLoader : public RowSource {
 public:
  /// Throws std::invalid_argument when a shard has no bins of config.sequence_length, with the
  /// lengths that are there, and for a range of tokens (config.first_token, end_token): bins are
  /// made of whole shards.
  BinLoader(std::shared_ptr<const DatasetReader> reader, const SourceLoaderConfig& config);

  int64_t num_rows() const override { return first_rows_.back(); }
  void read(int64_t window, Row& row) const override;
  std::vector<int64_t> shard_rows() const override { return first_rows_; }
  bool wants_to_know() const override { return !reader_->source().folder(); }
  void expect(const std::vector<size_t>& shards) const override;
  void close() const override { reader_->files().keep_only(user_, {}); }
  void stop_waiting() const override { reader_->source().stop_waiting(); }
  std::shared_ptr<const DatasetReader> dataset() const { return reader_; }
  /// The pieces of row `window`, in order, and the shard that they lie in.
  size_t find_pieces(int64_t window, std::vector<BinPiece>& pieces) const;

 private:
  std::shared_ptr<const BinsFile> bins(size_t shard) const;
  std::shared_ptr<const BinsFile> open_bins(size_t shard) const;

  std::shared_ptr<const DatasetReader> reader_;
  SourceLoaderConfig config_;
  int64_t vocab_size_;
  uint64_t user_;                    // of the reader's pool
  std::vector<int64_t> first_rows_;  // of each shard, and the number of rows
};

/// "<order fingerprint>/bins-4096:<hash>/...": the order fingerprint, and a hash of the bins for
/// each of the lengths. Resumes compare it with those of the ledger (resume.h).
[[nodiscard]] std::string bins_fingerprint(const DatasetManifest& manifest,
                                           std::vector<int64_t> sequence_lengths);

}  // namespace phalanx
