#include "data/tokenizer/bpe_merger.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <stdexcept>

namespace phalanx {
namespace {

constexpr uint32_t kEnd = 0xFFFFFFFF;  // no neighbour

}  // namespace

BpeMerger::BpeMerger(const std::vector<Merge>& merges, size_t expected)
    : targets_(std::max(merges.size(), expected)) {
  const size_t num_words = std::bit_ceil(std::max(merges.size(), expected) / 4 + 1);
  may_merge_.resize(num_words);
  bit_shift_ = 58 - std::countr_zero(num_words);
  for (const Merge& merge : merges) add(merge);
}

uint64_t BpeMerger::bit_of(int32_t left, int32_t right) const {
  const auto both = static_cast<uint64_t>(left) << 32 | static_cast<uint64_t>(right);
  return (both ^ both >> 27) * 0x9E3779B97F4A7C15u >> bit_shift_;
}

void BpeMerger::add(const Merge& merge) {
  const uint64_t bit = bit_of(merge.left, merge.right);
  may_merge_[bit / 64] |= uint64_t{1} << bit % 64;
  Target& target = targets_(merge.left, merge.right);
  if (target.rank == kNoRank) target = {merge.rank, merge.result};
}

void BpeMerger::index_bytes(const std::vector<int32_t>& byte_ids) {
  byte_ids_ = byte_ids;
  byte_pairs_.clear();
  for (const int32_t left : byte_ids_) {
    for (const int32_t right : byte_ids_) byte_pairs_.push_back(target_of(left, right));
  }
}

void BpeMerger::merge_bytes(std::string_view piece, std::vector<int32_t>& ids,
                            MergeScratch& scratch) const {
  const auto byte_at = [piece](size_t i) { return static_cast<unsigned char>(piece[i]); };
  if (piece.size() > kShortPiece) {
    const size_t begin = ids.size();
    for (size_t i = 0; i < piece.size(); ++i) ids.push_back(byte_ids_[byte_at(i)]);
    merge(ids, begin, scratch);
    return;
  }
  ShortPiece symbols;
  symbols.size = piece.size();
  for (size_t i = 0; i < piece.size(); ++i) {
    symbols.symbols[i] = byte_ids_[byte_at(i)];
    if (i > 0) symbols.pairs[i - 1] = byte_pairs_[size_t{byte_at(i - 1)} << 8 | byte_at(i)];
  }
  merge_short(symbols, scratch);
  ids.insert(ids.end(), symbols.symbols, symbols.symbols + symbols.size);
}

void BpeMerger::merge(std::vector<int32_t>& ids, size_t begin, MergeScratch& scratch) const {
  const size_t size = ids.size() - begin;
  if (size < 2) return;
  if (size >= kEnd) {
    throw std::invalid_argument(
        "text to encode: one piece of 4 GiB or more without a place to cut");
  }
  if (size > kShortPiece) {
    merge_long(ids, begin, scratch);
    return;
  }
  ShortPiece piece;
  piece.size = size;
  for (size_t i = 0; i < size; ++i) {
    piece.symbols[i] = ids[begin + i];
    if (i > 0) piece.pairs[i - 1] = target_of(piece.symbols[i - 1], piece.symbols[i]);
  }
  merge_short(piece, scratch);
  ids.resize(begin);
  ids.insert(ids.end(), piece.symbols, piece.symbols + piece.size);
}

BpeMerger::Target BpeMerger::target_of(int32_t left, int32_t right) const {
  const uint64_t bit = bit_of(left, right);
  if ((may_merge_[bit / 64] >> bit % 64 & 1) == 0) return {};
  const Target* target = targets_.find(left, right);
  return target == nullptr ? Target{} : *target;
}

uint32_t BpeMerger::rank_of(int32_t left, int32_t right) const {
  return target_of(left, right).rank;
}

void BpeMerger::merge_short(ShortPiece& piece, MergeScratch& scratch) const {
  auto& [size, symbols, pairs] = piece;
  scratch.num_steps += size;
  while (size > 1) {
    size_t at = 0;
    for (size_t i = 1; i + 1 < size; ++i) {
      if (pairs[i].rank < pairs[at].rank) at = i;
    }
    scratch.num_steps += size;
    if (pairs[at].rank == kNoRank) break;
    symbols[at] = pairs[at].result;
    --size;
    for (size_t i = at + 1; i < size; ++i) symbols[i] = symbols[i + 1];
    for (size_t i = at + 1; i + 1 < size; ++i) pairs[i] = pairs[i + 1];
    if (at + 1 < size) pairs[at] = target_of(symbols[at], symbols[at + 1]);
    if (at > 0) pairs[at - 1] = target_of(symbols[at - 1], symbols[at]);
  }
}

// An entry of the heap only says "look at this symbol"; it is stale unless the pair that starts
// there has the entry's rank still.
void BpeMerger::merge_long(std::vector<int32_t>& ids, size_t begin, MergeScratch& scratch) const {
  int32_t* symbols = ids.data() + begin;
  link(symbols, static_cast<uint32_t>(ids.size() - begin), scratch);
  auto& [rank, next, previous, heap, num_steps] = scratch;
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), std::greater<>());
    const auto entry_rank = static_cast<uint32_t>(heap.back() >> 32);
    const auto at = static_cast<uint32_t>(heap.back());
    heap.pop_back();
    ++num_steps;
    if (rank[at] != entry_rank) continue;
    const uint32_t right = next[at];
    symbols[at] = targets_.find(symbols[at], symbols[right])->result;
    rank[right] = kNoRank;
    next[at] = next[right];
    if (next[at] != kEnd) previous[next[at]] = at;
    rank_pair(symbols, at, scratch);
    if (previous[at] != kEnd) rank_pair(symbols, previous[at], scratch);
  }
  size_t size = 0;
  for (uint32_t at = 0; at != kEnd; at = next[at]) symbols[size++] = symbols[at];
  ids.resize(begin + size);
}

void BpeMerger::link(const int32_t* ids, uint32_t size, MergeScratch& scratch) const {
  scratch.rank.assign(size, kNoRank);
  scratch.next.resize(size);
  scratch.previous.resize(size);
  scratch.heap.clear();
  for (uint32_t i = 0; i < size; ++i) {
    scratch.next[i] = i + 1 < size ? i + 1 : kEnd;
    scratch.previous[i] = i > 0 ? i - 1 : kEnd;
    if (i + 1 == size) break;
    scratch.rank[i] = rank_of(ids[i], ids[i + 1]);
    if (scratch.rank[i] != kNoRank) {
      scratch.heap.push_back(static_cast<uint64_t>(scratch.rank[i]) << 32 | i);
    }
  }
  scratch.num_steps += size;
  std::make_heap(scratch.heap.begin(), scratch.heap.end(), std::greater<>());
}

void BpeMerger::rank_pair(const int32_t* ids, uint32_t at, MergeScratch& scratch) const {
  const uint32_t right = scratch.next[at];
  scratch.rank[at] = right == kEnd ? kNoRank : rank_of(ids[at], ids[right]);
  ++scratch.num_steps;
  if (scratch.rank[at] == kNoRank) return;
  scratch.heap.push_back(static_cast<uint64_t>(scratch.rank[at]) << 32 | at);
  std::push_heap(scratch.heap.begin(), scratch.heap.end(), std::greater<>());
}

}  // namespace phalanx
