#pragma once
// Rows of whole documents: best-fit-decreasing bin packing (Ding et al., Fewer Truncations Improve
// Language Modeling, arXiv 2404.10830), as SEMANTICS.md section 10 defines it.
//
// Local, pure; deterministic: the bins depend on the lengths only. O(n log T) for n documents.
// Positions and lengths are tokens. Memory: a few words a document of one group.
#include <cstdint>
#include <span>
#include <vector>

namespace phalanx {

/// Documents that are packed together. Bins of a group depend on no other group, so that memory is
/// bounded; 65,536 documents fill their bins as well as any number does.
inline constexpr int64_t kBinGroupDocuments = 65536;

/// Tokens of one document that lie in a bin: a document, or a part of one that is longer than a
/// row. As it lies in the file of bins.
struct BinPiece {
  int64_t begin = 0;      // in the shard
  int32_t length = 0;     // 2 to T + 1
  uint32_t document = 0;  // in the shard

  bool operator==(const BinPiece&) const = default;
};
static_assert(sizeof(BinPiece) == 16, "written to files as it lies in memory");

/// The pieces of bin b are pieces[first_piece[b] .. first_piece[b + 1]), by position.
struct Bins {
  std::vector<BinPiece> pieces;
  std::vector<int64_t> first_piece = {0};

  int64_t num_bins() const { return static_cast<int64_t>(first_piece.size()) - 1; }
};

/// Packs one group: document d of `starts.size() - 1` is tokens [starts[d], starts[d + 1]), with
/// the number `first_document` + d. Rows have `sequence_length` targets, one token more.
[[nodiscard]] Bins best_fit_bins(std::span<const int64_t> starts, int64_t first_document,
                                 int64_t sequence_length);

}  // namespace phalanx
