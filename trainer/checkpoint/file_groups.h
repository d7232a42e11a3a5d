#pragma once
// Tensors shared out over files of limited size. Local, pure.
#include <cstdint>
#include <utility>
#include <vector>

namespace phalanx {

/// In order: a file is full before a tensor that would take it past max_file_bytes, and holds one
/// tensor at least. One file, without tensors, where there are none.
template <typename Tensor, typename BytesOf>
std::vector<std::vector<Tensor>> file_groups(std::vector<Tensor> tensors, int64_t max_file_bytes,
                                             const BytesOf& bytes_of) {
  std::vector<std::vector<Tensor>> groups(1);
  int64_t bytes = 0;
  for (Tensor& tensor : tensors) {
    const int64_t more = bytes_of(tensor);
    if (!groups.back().empty() && bytes + more > max_file_bytes) {
      groups.emplace_back();
      bytes = 0;
    }
    bytes += more;
    groups.back().push_back(std::move(tensor));
  }
  return groups;
}

}  // namespace phalanx
