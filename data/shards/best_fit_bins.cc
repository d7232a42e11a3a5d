#include "data/shards/best_fit_bins.h"

#include <algorithm>
#include <map>
#include <numeric>

namespace phalanx {
namespace {

// Every token of a document but its first is the target of one piece: neighbours share a token.
// One token alone has no target, and is no piece.
std::vector<BinPiece> cut_documents(std::span<const int64_t> starts, int64_t first_document,
                                    int64_t sequence_length) {
  std::vector<BinPiece> pieces;
  for (size_t d = 0; d + 1 < starts.size(); ++d) {
    for (int64_t begin = starts[d]; begin + 1 < starts[d + 1]; begin += sequence_length) {
      const int64_t length = std::min(sequence_length + 1, starts[d + 1] - begin);
      pieces.push_back({begin, static_cast<int32_t>(length),
                        static_cast<uint32_t>(first_document + static_cast<int64_t>(d))});
    }
  }
  return pieces;
}

// The bin of each piece. The longest piece first; each goes to the fullest bin that has room, of
// equally full ones to the last that became so, else to a new bin.
std::vector<int64_t> choose_bins(const std::vector<BinPiece>& pieces, int32_t capacity) {
  std::vector<size_t> order(pieces.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return pieces[a].length > pieces[b].length; });
  std::map<int32_t, std::vector<int64_t>> by_room;  // bins with that many tokens free
  std::vector<int64_t> bin_of(pieces.size());
  int64_t num_bins = 0;
  for (const size_t i : order) {
    const int32_t length = pieces[i].length;
    int32_t room = capacity;
    int64_t bin = num_bins;
    if (const auto best = by_room.lower_bound(length); best != by_room.end()) {
      room = best->first;
      bin = best->second.back();
      best->second.pop_back();
      if (best->second.empty()) by_room.erase(best);
    } else {
      ++num_bins;
    }
    bin_of[i] = bin;
    if (room - length >= 2) by_room[room - length].push_back(bin);  // no piece is shorter
  }
  return bin_of;
}

}  // namespace

Bins best_fit_bins(std::span<const int64_t> starts, int64_t first_document,
                   int64_t sequence_length) {
  const std::vector<BinPiece> pieces = cut_documents(starts, first_document, sequence_length);
  const std::vector<int64_t> bin_of =
      choose_bins(pieces, static_cast<int32_t>(sequence_length + 1));
  // A counting sort by bin keeps the pieces of a bin in the order of their positions.
  Bins bins;
  const int64_t num_bins = bin_of.empty() ? 0 : *std::max_element(bin_of.begin(), bin_of.end()) + 1;
  bins.first_piece.assign(static_cast<size_t>(num_bins) + 1, 0);
  for (const int64_t bin : bin_of) ++bins.first_piece[static_cast<size_t>(bin) + 1];
  std::partial_sum(bins.first_piece.begin(), bins.first_piece.end(), bins.first_piece.begin());
  std::vector<int64_t> next(bins.first_piece.begin(), bins.first_piece.end() - 1);
  bins.pieces.resize(pieces.size());
  for (size_t i = 0; i < pieces.size(); ++i) {
    bins.pieces[static_cast<size_t>(next[static_cast<size_t>(bin_of[i])]++)] = pieces[i];
  }
  return bins;
}

}  // namespace phalanx
