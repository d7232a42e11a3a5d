#include "parallel/communicator.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstring>

namespace phalanx {

std::vector<std::string> all_gather_strings(Communicator& group, const std::string& mine) {
  const int64_t length = static_cast<int64_t>(mine.size());
  const at::Tensor lengths_R = at::empty({group.size()}, at::kLong);
  group.all_gather(lengths_R, at::full({1}, length, at::kLong))->wait();
  const int64_t* lengths = lengths_R.const_data_ptr<int64_t>();
  const int64_t widest = *std::max_element(lengths, lengths + group.size());

  std::vector<std::string> all(group.size());
  if (widest == 0) return all;
  // Gathers move equal pieces, so every string is padded to the widest.
  const at::Tensor padded_W = at::zeros({widest}, at::kByte);
  std::memcpy(padded_W.mutable_data_ptr<uint8_t>(), mine.data(), mine.size());
  const at::Tensor bytes_RW = at::empty({group.size(), widest}, at::kByte);
  group.all_gather(bytes_RW, padded_W)->wait();
  const char* bytes = reinterpret_cast<const char*>(bytes_RW.const_data_ptr<uint8_t>());
  for (int rank = 0; rank < group.size(); ++rank) {
    all[rank].assign(bytes + rank * widest, static_cast<size_t>(lengths[rank]));
  }
  return all;
}

}  // namespace phalanx
