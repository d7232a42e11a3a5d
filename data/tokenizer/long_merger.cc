#include "data/tokenizer/long_merger.h"

#include <limits>

namespace phalanx {
namespace {

constexpr int32_t kNumBytes = 256;
constexpr size_t kMaxBytes = size_t{1} << 23;  // of all tokens: the trie takes up to 64 times that
constexpr size_t kBytesPerNode = 2;            // of real vocabularies, nearly: tokens begin alike
constexpr size_t kPairSlots = size_t{1} << 12;

size_t bytes_of(const std::vector<std::string>& tokens) {
  size_t num_bytes = 0;
  for (const std::string& token : tokens) num_bytes += token.size();
  return num_bytes;
}

}  // namespace

bool LongMerger::can_take(const std::vector<Merge>& merges, const std::vector<int32_t>& byte_ids,
                          const std::vector<std::string>& tokens) {
  if (bytes_of(tokens) > kMaxBytes) return false;
  std::vector<bool> made(tokens.size(), false);
  for (const int32_t id : byte_ids) made[static_cast<size_t>(id)] = true;
  for (size_t i = 0; i < merges.size(); ++i) {
    const Merge& merge = merges[i];
    if (i > 0 && merges[i - 1].rank == merge.rank) return false;
    if (!made[static_cast<size_t>(merge.left)] || !made[static_cast<size_t>(merge.right)] ||
        made[static_cast<size_t>(merge.result)]) {
      return false;
    }
    made[static_cast<size_t>(merge.result)] = true;
  }
  return true;
}

LongMerger::LongMerger(const std::vector<Merge>& merges, const std::vector<int32_t>& byte_ids,
                       const std::vector<std::string>& tokens)
    : tokens_(kNumBytes + merges.size()),
      pairs_(merges.size()),
      children_(bytes_of(tokens) / kBytesPerNode),
      ends_(1, -1) {
  std::vector<int32_t> order(tokens.size(), -1);  // by id
  std::vector<bool> reached(tokens_.size(), true);
  for (int32_t byte = 0; byte < kNumBytes; ++byte) {
    const int32_t id = byte_ids[static_cast<size_t>(byte)];
    order[static_cast<size_t>(id)] = byte;
    tokens_[static_cast<size_t>(byte)] = {-1, -1, id, 1, -1};
    add_to_trie(tokens[static_cast<size_t>(id)], byte);
  }
  for (size_t i = 0; i < merges.size(); ++i) {
    const auto token = static_cast<int32_t>(i) + kNumBytes;
    const std::string& bytes = tokens[static_cast<size_t>(merges[i].result)];
    order[static_cast<size_t>(merges[i].result)] = token;
    Token& made = tokens_[static_cast<size_t>(token)];
    made = {order[static_cast<size_t>(merges[i].left)], order[static_cast<size_t>(merges[i].right)],
            merges[i].result, static_cast<uint32_t>(bytes.size()), -1};
    pairs_(made.left, made.right) = token;
    // A token whose own bytes are merged otherwise never comes about.
    const auto left = static_cast<size_t>(made.left), right = static_cast<size_t>(made.right);
    reached[static_cast<size_t>(token)] =
        reached[left] && reached[right] && fits(made.left, made.right, token);
    if (reached[static_cast<size_t>(token)]) add_to_trie(bytes, token);
  }
  for (Token& token : tokens_) token.shorter = shorter_of(tokens[static_cast<size_t>(token.id)]);
}

int32_t LongMerger::shorter_of(std::string_view bytes) const {
  return longest_at(bytes.substr(0, bytes.size() - 1), 0);
}

void LongMerger::add_to_trie(const std::string& bytes, int32_t token) {
  int32_t node = 0;
  for (const char byte : bytes) {
    int32_t& child = children_(node, static_cast<unsigned char>(byte));
    if (child == 0) {
      child = static_cast<int32_t>(ends_.size());
      ends_.push_back(-1);
    }
    node = child;
  }
  ends_[static_cast<size_t>(node)] = token;
}

int32_t LongMerger::longest_at(std::string_view piece, size_t begin) const {
  int32_t node = 0;
  int32_t longest = -1;
  for (size_t i = begin; i < piece.size(); ++i) {
    const int32_t* child = children_.find(node, static_cast<unsigned char>(piece[i]));
    if (child == nullptr) break;
    node = *child;
    if (ends_[static_cast<size_t>(node)] != -1) longest = ends_[static_cast<size_t>(node)];
  }
  return longest;
}

// Whether the merges leave the border between two tokens alone: undoes their making from the last
// merge back and asks at each step whether the two that meet would have merged before.
bool LongMerger::fits(int32_t left, int32_t right, int32_t limit) const {
  while (true) {
    const int32_t* made = pairs_.find(left, right);
    if (made != nullptr && *made < limit) return false;
    const Token& left_token = tokens_[static_cast<size_t>(left)];
    const Token& right_token = tokens_[static_cast<size_t>(right)];
    // Of two pairs at once the leftmost goes first: left before right where the ranks are equal.
    if (left_token.right != -1 && (left > right || right_token.left == -1)) {
      limit = left;
      left = left_token.right;
    } else if (right_token.left != -1) {
      limit = right + 1;
      right = right_token.left;
    } else {
      return true;
    }
  }
}

bool LongMerger::fits_cached(int32_t left, int32_t right, LongScratch& scratch) const {
  const uint64_t pair = static_cast<uint64_t>(left) << 32 | static_cast<uint64_t>(right);
  uint64_t& slot = scratch.pairs[(pair * 0x9E3779B97F4A7C15u) >> 52];
  if (slot >> 1 != pair + 1) {
    const bool answer = fits(left, right, std::numeric_limits<int32_t>::max());
    slot = (pair + 1) << 1 | uint64_t{answer};
  }
  return (slot & 1) != 0;
}

void LongMerger::encode(std::string_view piece, std::vector<int32_t>& ids,
                        LongScratch& scratch) const {
  scratch.dead.assign(piece.size() + 1, false);
  scratch.taken.clear();
  scratch.pairs.resize(kPairSlots);
  auto& taken = scratch.taken;
  size_t begin = 0;
  int32_t token = longest_at(piece, 0);
  while (begin < piece.size()) {
    const size_t size = tokens_[static_cast<size_t>(token)].size;
    ++scratch.num_steps;
    if (!scratch.dead[begin + size] &&
        (taken.empty() || fits_cached(taken.back(), token, scratch))) {
      taken.push_back(token);
      begin += size;
      token = longest_at(piece, begin);
      continue;
    }
    token = tokens_[static_cast<size_t>(token)].shorter;
    if (token != -1) continue;
    scratch.dead[begin] = true;
    token = taken.back();
    taken.pop_back();
    begin -= tokens_[static_cast<size_t>(token)].size;
  }
  for (const int32_t made : taken) ids.push_back(tokens_[static_cast<size_t>(made)].id);
}

}  // namespace phalanx
