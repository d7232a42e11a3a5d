#include "parallel/host_communicator.h"

#include <ATen/ATen.h>
#include <ATen/record_function.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <set>

#include "parallel/host_sums.h"

namespace phalanx {
namespace {

class FinishedWork final : public Work {
 public:
  void wait() override {}
};

void check_host_tensor(const at::Tensor& tensor, const char* collective, const char* argument) {
  TORCH_CHECK(tensor.defined() && tensor.is_cpu() && tensor.is_contiguous(), collective, ": ",
              argument, " must be a contiguous host tensor");
}

void check_pieces(const at::Tensor& whole, const at::Tensor& piece, int64_t size,
                  const char* collective) {
  TORCH_CHECK(whole.scalar_type() == piece.scalar_type(), collective, ": input and output differ, ",
              "expected one dtype, found ", whole.scalar_type(), " and ", piece.scalar_type());
  TORCH_CHECK(whole.numel() == size * piece.numel(), collective, ": expected ", size, " pieces of ",
              piece.numel(), " elements, found ", whole.numel(), " elements");
}

std::byte* bytes_of(const at::Tensor& tensor) {
  return static_cast<std::byte*>(tensor.mutable_data_ptr());
}

const std::byte* const_bytes_of(const at::Tensor& tensor) {
  return static_cast<const std::byte*>(tensor.const_data_ptr());
}

void copy_unless_same(std::byte* to, const std::byte* from, int64_t bytes) {
  if (to != from) std::memcpy(to, from, static_cast<size_t>(bytes));
}

}  // namespace

WorkHandle finished_work() { return std::make_unique<FinishedWork>(); }

std::unique_ptr<Communicator> HostCommunicator::split(int color, int key, const std::string& name) {
  const std::array<int32_t, 2> mine{color, key};
  std::vector<std::array<int32_t, 2>> wishes(size());
  wishes[rank()] = mine;
  if (size() > 1) {
    all_gather_bytes(reinterpret_cast<std::byte*>(wishes.data()),
                     reinterpret_cast<const std::byte*>(mine.data()), sizeof(mine));
  }
  GroupPlan plan;
  plan.name = name;
  std::set<int32_t> smaller_colors;
  for (int peer = 0; peer < size(); ++peer) {
    if (wishes[peer][0] == color) plan.members.push_back(peer);
    if (wishes[peer][0] < color) smaller_colors.insert(wishes[peer][0]);
  }
  std::stable_sort(plan.members.begin(), plan.members.end(),
                   [&](int a, int b) { return wishes[a][1] < wishes[b][1]; });
  const auto found = std::find(plan.members.begin(), plan.members.end(), rank());
  plan.rank = static_cast<int>(found - plan.members.begin());
  plan.index = static_cast<int>(smaller_colors.size());
  return make_group(plan);
}

WorkHandle HostCommunicator::all_reduce(const at::Tensor& tensor, ReduceOp op, SumOrder order) {
  RECORD_USER_SCOPE("all-reduce");
  TORCH_CHECK(order != SumOrder::kTreeOrder, "all_reduce: has no sums in tree order");
  check_host_tensor(tensor, "all_reduce", "tensor");
  if (size() > 1 && tensor.numel() > 0) {
    all_reduce_elements(bytes_of(tensor), tensor.numel(), tensor.scalar_type(), op);
  }
  return finished_work();
}

WorkHandle HostCommunicator::reduce_scatter(const at::Tensor& output, const at::Tensor& input,
                                            SumOrder order) {
  RECORD_USER_SCOPE("reduce-scatter");
  check_host_tensor(output, "reduce_scatter", "output");
  check_host_tensor(input, "reduce_scatter", "input");
  check_pieces(input, output, size(), "reduce_scatter");
  if (size() == 1) {
    copy_unless_same(bytes_of(output), const_bytes_of(input), static_cast<int64_t>(input.nbytes()));
  } else if (output.numel() > 0) {
    reduce_scatter_elements(bytes_of(output), const_bytes_of(input), output.numel(),
                            output.scalar_type(), order);
  }
  return finished_work();
}

WorkHandle HostCommunicator::all_gather(const at::Tensor& output, const at::Tensor& input) {
  RECORD_USER_SCOPE("all-gather");
  check_host_tensor(output, "all_gather", "output");
  check_host_tensor(input, "all_gather", "input");
  check_pieces(output, input, size(), "all_gather");
  const int64_t bytes = static_cast<int64_t>(input.nbytes());
  copy_unless_same(bytes_of(output) + rank() * bytes, const_bytes_of(input), bytes);
  if (size() > 1 && bytes > 0) all_gather_bytes(bytes_of(output), const_bytes_of(input), bytes);
  return finished_work();
}

WorkHandle HostCommunicator::all_to_all(const at::Tensor& output, const at::Tensor& input) {
  check_host_tensor(output, "all_to_all", "output");
  check_host_tensor(input, "all_to_all", "input");
  TORCH_CHECK(output.scalar_type() == input.scalar_type() && output.numel() == input.numel() &&
                  input.numel() % size() == 0,
              "all_to_all: expected equal sizes and dtypes that divide into ", size(),
              " pieces, found ", output.numel(), " and ", input.numel(), " elements");
  const int64_t bytes = static_cast<int64_t>(input.nbytes()) / size();
  if (bytes == 0) return finished_work();
  std::memcpy(bytes_of(output) + rank() * bytes, const_bytes_of(input) + rank() * bytes,
              static_cast<size_t>(bytes));
  if (size() > 1) all_to_all_bytes(bytes_of(output), const_bytes_of(input), bytes);
  return finished_work();
}

WorkHandle HostCommunicator::broadcast(const at::Tensor& tensor, int root) {
  check_host_tensor(tensor, "broadcast", "tensor");
  TORCH_CHECK(root >= 0 && root < size(), "broadcast: expected a root below ", size(), ", found ",
              root);
  if (size() > 1 && tensor.numel() > 0) {
    broadcast_bytes(bytes_of(tensor), static_cast<int64_t>(tensor.nbytes()), root);
  }
  return finished_work();
}

void HostCommunicator::barrier() {
  if (size() > 1) meet();
}

// --- Every collective through exchange() --------------------------------------------------------

void HostCommunicator::all_gather_bytes(std::byte* output, const std::byte* input, int64_t bytes) {
  const size_t length = static_cast<size_t>(bytes);
  std::vector<ConstBytes> sends(size(), ConstBytes(input, length));
  std::vector<Bytes> receives(size());
  for (int peer = 0; peer < size(); ++peer) receives[peer] = Bytes(output + peer * bytes, length);
  sends[rank()] = {};
  receives[rank()] = {};
  exchange(sends, receives);
}

void HostCommunicator::all_to_all_bytes(std::byte* output, const std::byte* input, int64_t bytes) {
  std::vector<ConstBytes> sends(size());
  std::vector<Bytes> receives(size());
  for (int peer = 0; peer < size(); ++peer) {
    if (peer == rank()) continue;
    sends[peer] = ConstBytes(input + peer * bytes, static_cast<size_t>(bytes));
    receives[peer] = Bytes(output + peer * bytes, static_cast<size_t>(bytes));
  }
  exchange(sends, receives);
}

void HostCommunicator::broadcast_bytes(std::byte* data, int64_t bytes, int root) {
  std::vector<ConstBytes> sends(size());
  std::vector<Bytes> receives(size());
  const size_t length = static_cast<size_t>(bytes);
  if (rank() == root) {
    std::fill(sends.begin(), sends.end(), ConstBytes(data, length));
    sends[root] = {};
  } else {
    receives[root] = Bytes(data, length);
  }
  exchange(sends, receives);
}

void HostCommunicator::meet() {
  const std::byte token{};
  std::vector<std::byte> tokens(size());
  all_gather_bytes(tokens.data(), &token, 1);
}

void HostCommunicator::reduce_scatter_elements(std::byte* output, const std::byte* input,
                                               int64_t piece, at::ScalarType dtype,
                                               SumOrder order) {
  const int64_t width = static_cast<int64_t>(c10::elementSize(dtype));
  const int64_t step = std::max<int64_t>(1, kScratchBytes / size() / width);
  std::vector<std::byte> scratch(size() * std::min(step, piece) * width);
  std::vector<ConstBytes> sends(size());
  std::vector<Bytes> receives(size());
  std::vector<const std::byte*> terms(size());
  for (int64_t begin = 0; begin < piece; begin += step) {
    const int64_t count = std::min(step, piece - begin);
    const size_t bytes = static_cast<size_t>(count * width);
    for (int peer = 0; peer < size(); ++peer) {
      const std::byte* mine = input + (peer * piece + begin) * width;
      terms[peer] = peer == rank() ? mine : scratch.data() + peer * bytes;
      if (peer == rank()) continue;
      sends[peer] = ConstBytes(mine, bytes);
      receives[peer] = Bytes(scratch.data() + peer * bytes, bytes);
    }
    exchange(sends, receives);
    sum_in(order, output + begin * width, terms, count, dtype);
  }
}

void HostCommunicator::all_reduce_elements(std::byte* data, int64_t count, at::ScalarType dtype,
                                           ReduceOp op) {
  const int64_t width = static_cast<int64_t>(c10::elementSize(dtype));
  if (count * width * size() <= kSmallBytes) return all_reduce_small(data, count, dtype, op);
  const int64_t step = kScratchBytes / width;
  std::vector<std::byte> scratch;
  for (int64_t begin = 0; begin < count; begin += step) {
    all_reduce_chunk(data + begin * width, std::min(step, count - begin), dtype, op, scratch);
  }
}

void HostCommunicator::all_reduce_small(std::byte* data, int64_t count, at::ScalarType dtype,
                                        ReduceOp op) {
  const int64_t bytes = count * static_cast<int64_t>(c10::elementSize(dtype));
  std::vector<std::byte> scratch(size() * bytes);
  all_gather_bytes(scratch.data(), data, bytes);
  std::vector<const std::byte*> terms(size());
  for (int peer = 0; peer < size(); ++peer) {
    terms[peer] = peer == rank() ? data : scratch.data() + peer * bytes;
  }
  reduce_in_order(data, terms, count, dtype, op);
}

void HostCommunicator::all_reduce_chunk(std::byte* data, int64_t count, at::ScalarType dtype,
                                        ReduceOp op, std::vector<std::byte>& scratch) {
  const int64_t width = static_cast<int64_t>(c10::elementSize(dtype));
  const auto slice = [&](int peer) {
    const int64_t begin = slice_begin(count, size(), peer);
    return Bytes(data + begin * width,
                 static_cast<size_t>((slice_begin(count, size(), peer + 1) - begin) * width));
  };
  const Bytes mine = slice(rank());
  scratch.resize(size() * mine.size());
  std::vector<ConstBytes> sends(size());
  std::vector<Bytes> receives(size());
  std::vector<const std::byte*> terms(size());
  for (int peer = 0; peer < size(); ++peer) {
    terms[peer] = peer == rank() ? mine.data() : scratch.data() + peer * mine.size();
    if (peer == rank()) continue;
    sends[peer] = slice(peer);
    receives[peer] = Bytes(scratch.data() + peer * mine.size(), mine.size());
  }
  exchange(sends, receives);
  reduce_in_order(mine.data(), terms, static_cast<int64_t>(mine.size()) / width, dtype, op);
  for (int peer = 0; peer < size(); ++peer) {
    if (peer == rank()) continue;
    sends[peer] = mine;
    receives[peer] = slice(peer);
  }
  exchange(sends, receives);
}

}  // namespace phalanx
