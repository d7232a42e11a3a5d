#pragma once
// Where the rows of one source come from: windows of a data set (SourceLoader), its bins of whole
// documents (BinLoader), or a test's fake.
// Local. Const methods may be called from several threads at once.
#include <cstdint>
#include <utility>
#include <vector>

namespace phalanx {

/// A row of T targets. tokens[0..T) are the inputs, tokens[1..T] the targets.
struct Row {
  std::vector<int32_t> tokens;    // T + 1 ids; past the end of the data: the end-of-document token
  int64_t num_valid_targets = 0;  // the rest of the T targets are padding
  /// Positions in [0, T] where a document begins; T: the last target is the next one's first token.
  std::vector<int64_t> document_starts;
  /// The data set's number of the document that holds token 0, then of the one that begins at each
  /// of the document_starts in [1, T]. Empty: the source does not number its documents.
  std::vector<int64_t> documents = {};
  /// Ranges [begin, end) of targets that do not count, because their document is masked.
  std::vector<std::pair<int64_t, int64_t>> masked_targets = {};
};

class RowSource {
 public:
  virtual ~RowSource() = default;
  /// Rows of one epoch.
  virtual int64_t num_rows() const = 0;
  /// Reads row `window` of [0, num_rows()). Throws on a read error or a token past the vocabulary.
  virtual void read(int64_t window, Row& row) const = 0;
  /// For each shard the number of its first row, that of the first token in it, and num_rows():
  /// what `shuffle_window` is counted in. Empty: the source has no shards.
  virtual std::vector<int64_t> shard_rows() const { return {}; }
  /// Whether it does something about what is expected.
  virtual bool wants_to_know() const { return false; }
  /// The rows read next lie in these shards, met in this order, and in no others soon. Sources that
  /// have nothing to prepare pass it over.
  virtual void expect(const std::vector<size_t>& shards) const { (void)shards; }
  /// Its rows are not read soon: what it alone has open, beside what the data set has, may go.
  virtual void close() const {}
  /// A read() that waits for something, in another thread, throws.
  virtual void stop_waiting() const {}
};

}  // namespace phalanx
