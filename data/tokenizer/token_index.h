// From the bytes of a token to its id. Local; immutable after construction, free to share.
// Refers to the token strings it was built from: they must stay where they are.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace phalanx {

class TokenIndex {
 public:
  TokenIndex() = default;
  // Indexes the given ids of `tokens`; of two ids with equal bytes the first stays.
  TokenIndex(const std::vector<std::string>& tokens, const std::vector<int32_t>& ids);

  // -1 where no indexed token has these bytes.
  int32_t find(std::string_view bytes) const;

  size_t longest() const { return longest_; }  // bytes

 private:
  struct Slot {
    uint32_t hash = 0;
    int32_t id = -1;
  };

  const std::vector<std::string>* tokens_ = nullptr;
  std::vector<Slot> slots_;  // a power of two of them, at most half of them taken
  size_t longest_ = 0;
};

}  // namespace phalanx
