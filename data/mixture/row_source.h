#pragma once
// Where the rows of one source come from: a data set on disk (SourceLoader) or a test's fake.
// Local. Const methods may be called from several threads at once.
#include <cstdint>
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
};

class RowSource {
 public:
  virtual ~RowSource() = default;
  /// N = ceil((n - 1) / T) windows of T targets, neighbours sharing one token.
  virtual int64_t num_rows() const = 0;
  /// Reads window `window` of [0, num_rows()). Throws on a read error or a token past the
  /// vocabulary.
  virtual void read(int64_t window, Row& row) const = 0;
};

}  // namespace phalanx
