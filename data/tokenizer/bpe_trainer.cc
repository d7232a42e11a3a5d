#include "data/tokenizer/bpe_trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "data/tokenizer/byte_alphabet.h"
#include "data/tokenizer/flat_pair_map.h"

namespace phalanx {
namespace {

struct Piece {
  size_t begin;  // of its symbols in the array of all
  size_t size;
  int64_t count;
};

struct Pair {
  int64_t count = 0;
  std::vector<uint32_t> new_pieces;  // that hold the pair since it was last put into the queue
};

struct Candidate {
  int64_t count;
  int32_t left;
  int32_t right;
  std::vector<uint32_t> pieces;

  // True where `this` goes later: for std::push_heap, which keeps the greatest in front.
  bool operator<(const Candidate& other) const {
    if (count != other.count) return count < other.count;
    return std::tie(left, right) > std::tie(other.left, other.right);
  }
};

class Trainer {
 public:
  Trainer(const PieceCounter& counter, int64_t num_tokens);

  void run();
  std::vector<std::string> take_tokens() { return std::move(tokens_); }
  std::vector<Merge> merges() const;

 private:
  struct MadePair {
    int32_t left;
    int32_t right;
    int32_t result;
  };

  void count_pairs();
  void merge_in(uint32_t piece_index, const Candidate& candidate, int32_t result);
  void change(int32_t left, int32_t right, int64_t count, uint32_t piece_index);
  void queue_touched();
  int32_t token_of(int32_t left, int32_t right);

  size_t num_tokens_;
  std::vector<int32_t> symbols_;
  std::vector<Piece> pieces_;
  std::vector<std::string> tokens_;
  std::unordered_map<std::string, int32_t> ids_;
  FlatPairMap<Pair> pairs_;
  std::vector<std::pair<int32_t, int32_t>> touched_;  // pairs with new pieces
  std::vector<Candidate> queue_;
  std::vector<MadePair> made_;
};

Trainer::Trainer(const PieceCounter& counter, int64_t num_tokens)
    : num_tokens_(static_cast<size_t>(num_tokens)) {
  std::vector<int32_t> byte_ids(256);
  for (const char byte : ByteAlphabet().bytes_in_order()) {
    byte_ids[static_cast<unsigned char>(byte)] = static_cast<int32_t>(tokens_.size());
    ids_.emplace(std::string(1, byte), static_cast<int32_t>(tokens_.size()));
    tokens_.emplace_back(1, byte);
  }
  for (const auto& [text, count] : counter.pieces()) {
    pieces_.push_back({symbols_.size(), text.size(), count});
    for (const char byte : text) symbols_.push_back(byte_ids[static_cast<unsigned char>(byte)]);
  }
  count_pairs();
}

void Trainer::count_pairs() {
  for (uint32_t i = 0; i < pieces_.size(); ++i) {
    const int32_t* symbols = symbols_.data() + pieces_[i].begin;
    for (size_t j = 0; j + 1 < pieces_[i].size; ++j) {
      change(symbols[j], symbols[j + 1], pieces_[i].count, i);
    }
  }
  queue_touched();
}

// Adds to the count of a pair. Pieces come one after the other, so that the last entry tells
// whether this one is noted already.
void Trainer::change(int32_t left, int32_t right, int64_t count, uint32_t piece_index) {
  Pair& pair = pairs_(left, right);
  pair.count += count;
  if (count < 0) return;
  if (pair.new_pieces.empty()) touched_.emplace_back(left, right);
  if (pair.new_pieces.empty() || pair.new_pieces.back() != piece_index) {
    pair.new_pieces.push_back(piece_index);
  }
}

void Trainer::queue_touched() {
  for (const auto& [left, right] : touched_) {
    Pair& pair = pairs_(left, right);
    std::vector<uint32_t> pieces = std::exchange(pair.new_pieces, {});
    if (pair.count <= 0) continue;
    queue_.push_back({pair.count, left, right, std::move(pieces)});
    std::push_heap(queue_.begin(), queue_.end());
  }
  touched_.clear();
}

// A candidate's count is that of when it was queued; pairs since broken up by other merges are put
// back with the count of now.
void Trainer::run() {
  while (tokens_.size() < num_tokens_ && !queue_.empty()) {
    std::pop_heap(queue_.begin(), queue_.end());
    Candidate candidate = std::move(queue_.back());
    queue_.pop_back();
    const int64_t count = pairs_(candidate.left, candidate.right).count;
    if (candidate.count != count) {
      if (count < 1) continue;
      candidate.count = count;
      queue_.push_back(std::move(candidate));
      std::push_heap(queue_.begin(), queue_.end());
      continue;
    }
    const int32_t result = token_of(candidate.left, candidate.right);
    made_.push_back({candidate.left, candidate.right, result});
    for (const uint32_t i : candidate.pieces) merge_in(i, candidate, result);
    queue_touched();
  }
}

// Two merges may make the same bytes ("aa" + "a", "a" + "aa"): one token.
int32_t Trainer::token_of(int32_t left, int32_t right) {
  std::string bytes = tokens_[static_cast<size_t>(left)] + tokens_[static_cast<size_t>(right)];
  const auto [found, added] = ids_.emplace(bytes, static_cast<int32_t>(tokens_.size()));
  if (added) tokens_.push_back(std::move(bytes));
  return found->second;
}

void Trainer::merge_in(uint32_t piece_index, const Candidate& candidate, int32_t result) {
  Piece& piece = pieces_[piece_index];
  int32_t* symbols = symbols_.data() + piece.begin;
  const auto [left, right] = std::pair(candidate.left, candidate.right);
  size_t kept = 0;
  for (size_t i = 0; i < piece.size; ++i) {
    if (symbols[i] != left || i + 1 == piece.size || symbols[i + 1] != right) {
      symbols[kept++] = symbols[i];
      continue;
    }
    if (kept > 0) {
      change(symbols[kept - 1], left, -piece.count, piece_index);
      change(symbols[kept - 1], result, piece.count, piece_index);
    }
    if (i + 2 < piece.size) {
      change(right, symbols[i + 2], -piece.count, piece_index);
      change(result, symbols[i + 2], piece.count, piece_index);
    }
    symbols[kept++] = result;
    ++i;
  }
  piece.size = kept;
}

// Where one pair was made twice, the last time counts, as in files written by `tokenizers`.
std::vector<Merge> Trainer::merges() const {
  FlatPairMap<size_t> last(made_.size());
  for (size_t i = 0; i < made_.size(); ++i) last(made_[i].left, made_[i].right) = i;
  std::vector<Merge> merges;
  for (size_t i = 0; i < made_.size(); ++i) {
    const auto& [left, right, result] = made_[i];
    if (*last.find(left, right) != i) continue;
    merges.push_back({left, right, result, static_cast<uint32_t>(merges.size())});
  }
  return merges;
}

void check_options(const TrainOptions& options) {
  const auto num_specials = static_cast<int64_t>(options.specials.size());
  if (options.vocab_size < 256 + num_specials || options.vocab_size > kMaxTokenId + 1) {
    throw std::invalid_argument(fmt::format(
        "vocabulary size: expected {}..{} (256 bytes and {} special tokens at least), found {}",
        256 + num_specials, kMaxTokenId + 1, num_specials, options.vocab_size));
  }
  for (size_t i = 0; i < options.specials.size(); ++i) {
    const auto end = options.specials.begin() + static_cast<ptrdiff_t>(i);
    if (options.specials[i].empty() || std::find(options.specials.begin(), end, *end) != end) {
      throw std::invalid_argument(fmt::format(
          "special tokens[{}]: expected a name not empty and not given before, found \"{}\"", i,
          options.specials[i]));
    }
  }
}

}  // namespace

TokenizerParts train_bpe(const NextDocument& next_document, const TrainOptions& options) {
  check_options(options);
  const int64_t num_ordinary = options.vocab_size - static_cast<int64_t>(options.specials.size());
  // The counted pieces are gone before the merges need memory.
  Trainer trainer(count_pieces(next_document, options.pattern, options.num_threads), num_ordinary);
  trainer.run();
  TokenizerParts parts;
  parts.pattern = options.pattern;
  parts.merges = trainer.merges();
  parts.tokens = trainer.take_tokens();
  if (static_cast<int64_t>(parts.tokens.size()) < num_ordinary) {
    throw std::invalid_argument(
        fmt::format("text to train on: expected enough for a vocabulary of {}, found enough for {}",
                    options.vocab_size, parts.tokens.size() + options.specials.size()));
  }
  for (const std::string& special : options.specials) {
    parts.specials.push_back({special, static_cast<int32_t>(parts.tokens.size())});
    parts.tokens.push_back(special);
  }
  return parts;
}

}  // namespace phalanx
