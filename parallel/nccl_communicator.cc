#include "parallel/nccl_communicator.h"

#include <ATen/ATen.h>
#include <ATen/cuda/CUDAEvent.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime.h>
#include <fmt/format.h>
#include <nccl.h>

#include <array>
#include <cstring>
#include <source_location>
#include <stdexcept>
#include <utility>
#include <vector>

#include "parallel/agreement.h"
#include "parallel/row_sums.h"

namespace phalanx {
namespace {

using at::cuda::CUDAEvent;
using c10::cuda::CUDAGuard;
using c10::cuda::CUDAStream;
using c10::cuda::CUDAStreamGuard;

void nccl_check(ncclResult_t result, const char* call, ncclComm_t comm = nullptr,
                std::source_location where = std::source_location::current()) {
  if (result == ncclSuccess || result == ncclInProgress) return;
  const char* detail = ncclGetLastError(comm);
  throw std::runtime_error(fmt::format("{} failed in {} ({}:{}): {} ({})", call,
                                       where.function_name(), where.file_name(), where.line(),
                                       ncclGetErrorString(result), detail ? detail : ""));
}

void cuda_check(cudaError_t result, const char* call,
                std::source_location where = std::source_location::current()) {
  if (result == cudaSuccess) return;
  throw std::runtime_error(fmt::format("{} failed in {} ({}:{}): {}", call, where.function_name(),
                                       where.file_name(), where.line(),
                                       cudaGetErrorString(result)));
}

class NcclWork final : public Work {
 public:
  NcclWork(const CUDAStream& stream, std::vector<at::Tensor> tensors)
      : stream_(stream), tensors_(std::move(tensors)) {
    done_.record(stream);
  }
  ~NcclWork() override {
    // Without wait() the tensors' own stream does not know of this use.
    for (const at::Tensor& tensor : tensors_) {
      c10::cuda::CUDACachingAllocator::recordStream(tensor.storage().data_ptr(), stream_);
    }
  }
  void wait() override {
    if (tensors_.empty()) return;
    done_.block(c10::cuda::getCurrentCUDAStream(stream_.device_index()));
    tensors_.clear();
  }

 private:
  CUDAStream stream_;
  std::vector<at::Tensor> tensors_;
  CUDAEvent done_;
};

ncclDataType_t nccl_type(at::ScalarType dtype) {
  switch (dtype) {
    case at::kFloat:
      return ncclFloat32;
    case at::kDouble:
      return ncclFloat64;
    case at::kBFloat16:
      return ncclBfloat16;
    case at::kInt:
      return ncclInt32;
    case at::kLong:
      return ncclInt64;
    default:
      TORCH_CHECK(false,
                  "reduction over ranks: expected float32, float64, bfloat16, int32 or "
                  "int64, found ",
                  c10::toString(dtype));
  }
}

void* write_pointer(const at::Tensor& tensor) { return tensor.mutable_data_ptr(); }
const void* read_pointer(const at::Tensor& tensor) { return tensor.const_data_ptr(); }

class NcclCommunicator final : public Communicator {
 public:
  NcclCommunicator(ncclComm_t comm, int rank, int size, int device_index, const std::string& name)
      : Communicator(rank, size, name),
        comm_(comm),
        device_(static_cast<c10::DeviceIndex>(device_index)),
        stream_(c10::cuda::getStreamFromPool(/*isHighPriority=*/true, device_)) {}
  ~NcclCommunicator() override { ncclCommAbort(comm_); }

  std::unique_ptr<Communicator> split(int color, int key, const std::string& name) override {
    TORCH_CHECK(color >= 0, "split: NCCL expects a color of at least 0, found ", color);
    const CUDAGuard guard(device_);
    ncclComm_t group = nullptr;
    nccl_check(ncclCommSplit(comm_, color, key, &group, nullptr), "ncclCommSplit", comm_);
    int group_rank = 0, group_size = 0;
    nccl_check(ncclCommUserRank(group, &group_rank), "ncclCommUserRank", group);
    nccl_check(ncclCommCount(group, &group_size), "ncclCommCount", group);
    return std::make_unique<NcclCommunicator>(group, group_rank, group_size, device_, name);
  }

  WorkHandle all_reduce(const at::Tensor& tensor, ReduceOp op, SumOrder order) override {
    check(tensor, "all_reduce");
    TORCH_CHECK(order != SumOrder::kTreeOrder, "all_reduce: has no sums in tree order");
    return launch({tensor}, [&] {
      if (op == ReduceOp::kSum && order == SumOrder::kRankOrder) return ordered_all_reduce(tensor);
      nccl_check(ncclAllReduce(read_pointer(tensor), write_pointer(tensor), count(tensor),
                               nccl_type(tensor.scalar_type()),
                               op == ReduceOp::kSum ? ncclSum : ncclMax, comm_, stream_.stream()),
                 "ncclAllReduce", comm_);
    });
  }

  WorkHandle reduce_scatter(const at::Tensor& output, const at::Tensor& input,
                            SumOrder order) override {
    check_pieces(input, output, "reduce_scatter");
    return launch({output, input}, [&] {
      if (order != SumOrder::kAny) {
        const at::Tensor rows_RM = at::empty({size(), output.numel()}, input.options());
        exchange_pieces(rows_RM, input);
        output.view({-1}).copy_(sum_rows(rows_RM, order));
        return;
      }
      nccl_check(
          ncclReduceScatter(read_pointer(input), write_pointer(output), count(output),
                            nccl_type(input.scalar_type()), ncclSum, comm_, stream_.stream()),
          "ncclReduceScatter", comm_);
    });
  }

  WorkHandle all_gather(const at::Tensor& output, const at::Tensor& input) override {
    check_pieces(output, input, "all_gather");
    return launch({output, input}, [&] { gather(output, input); });
  }

  WorkHandle all_to_all(const at::Tensor& output, const at::Tensor& input) override {
    check(output, "all_to_all");
    check(input, "all_to_all");
    TORCH_CHECK(output.scalar_type() == input.scalar_type() && output.numel() == input.numel() &&
                    input.numel() % size() == 0,
                "all_to_all: expected equal sizes and dtypes that divide into ", size(),
                " pieces, found ", output.numel(), " and ", input.numel(), " elements");
    return launch({output, input}, [&] { exchange_pieces(output, input); });
  }

  WorkHandle broadcast(const at::Tensor& tensor, int root) override {
    check(tensor, "broadcast");
    return launch({tensor}, [&] {
      nccl_check(ncclBroadcast(read_pointer(tensor), write_pointer(tensor), tensor.nbytes(),
                               ncclInt8, root, comm_, stream_.stream()),
                 "ncclBroadcast", comm_);
    });
  }

  void barrier() override {
    const at::Tensor token = at::zeros({1}, at::device(device()).dtype(at::kInt));
    all_reduce(token, ReduceOp::kSum, SumOrder::kAny)->wait();
    cuda_check(cudaStreamSynchronize(stream_.stream()), "cudaStreamSynchronize");
  }

 private:
  at::Device device() const { return at::Device(at::kCUDA, device_); }
  static size_t count(const at::Tensor& tensor) { return static_cast<size_t>(tensor.numel()); }

  void check(const at::Tensor& tensor, const char* collective) const {
    TORCH_CHECK(tensor.defined() && tensor.device() == device() && tensor.is_contiguous(),
                collective, ": expected a contiguous tensor on ", device().str());
  }

  void check_pieces(const at::Tensor& whole, const at::Tensor& piece, const char* collective) {
    check(whole, collective);
    check(piece, collective);
    TORCH_CHECK(
        whole.scalar_type() == piece.scalar_type() && whole.numel() == size() * piece.numel(),
        collective, ": expected ", size(), " pieces of ", piece.numel(), " elements of ",
        piece.scalar_type(), ", found ", whole.numel(), " of ", whole.scalar_type());
  }

  // Runs `enqueue` with the communicator's stream as the current one, after the caller's work.
  // Temporaries made there belong to that stream's pool and may be freed at once.
  template <typename Enqueue>
  WorkHandle launch(std::vector<at::Tensor> tensors, const Enqueue& enqueue) {
    const CUDAGuard guard(device_);
    CUDAEvent ready;
    ready.record(c10::cuda::getCurrentCUDAStream(device_));
    ready.block(stream_);
    {
      const CUDAStreamGuard on_stream(stream_);
      if (tensors.front().numel() > 0) enqueue();
    }
    return std::make_unique<NcclWork>(stream_, std::move(tensors));
  }

  void gather(const at::Tensor& output, const at::Tensor& input) {
    nccl_check(ncclAllGather(read_pointer(input), write_pointer(output), input.nbytes(), ncclInt8,
                             comm_, stream_.stream()),
               "ncclAllGather", comm_);
  }

  void exchange_pieces(const at::Tensor& output, const at::Tensor& input) {
    const size_t bytes = input.nbytes() / static_cast<size_t>(size());
    const char* from = static_cast<const char*>(read_pointer(input));
    char* to = static_cast<char*>(write_pointer(output));
    nccl_check(ncclGroupStart(), "ncclGroupStart", comm_);
    for (int peer = 0; peer < size(); ++peer) {
      nccl_check(ncclSend(from + peer * bytes, bytes, ncclInt8, peer, comm_, stream_.stream()),
                 "ncclSend", comm_);
      nccl_check(ncclRecv(to + peer * bytes, bytes, ncclInt8, peer, comm_, stream_.stream()),
                 "ncclRecv", comm_);
    }
    nccl_check(ncclGroupEnd(), "ncclGroupEnd", comm_);
  }

  // Pieces are padded to equal lengths: rank r adds up piece r and gives it to all.
  void ordered_all_reduce(const at::Tensor& tensor) {
    const int64_t piece = (tensor.numel() + size() - 1) / size();
    const at::Tensor padded_RM = at::zeros({size() * piece}, tensor.options());
    padded_RM.narrow(0, 0, tensor.numel()).copy_(tensor.view({-1}));
    const at::Tensor rows_RM = at::empty({size(), piece}, tensor.options());
    exchange_pieces(rows_RM, padded_RM);
    gather(padded_RM, sum_rows(rows_RM, SumOrder::kRankOrder));
    tensor.view({-1}).copy_(padded_RM.narrow(0, 0, tensor.numel()));
  }

  ncclComm_t comm_;
  c10::DeviceIndex device_;
  CUDAStream stream_;
};

void check_device(int device_index) {
  if (device_index >= 0 && device_index < num_cuda_devices()) return;
  throw std::invalid_argument(fmt::format(
      "device: expected one GPU for each rank of a host, found {} GPUs, needed GPU number {}",
      num_cuda_devices(), device_index));
}

}  // namespace

int num_cuda_devices() { return c10::cuda::device_count(); }

int64_t free_device_memory(int device_index) {
  check_device(device_index);
  const c10::cuda::CUDAGuard guard(static_cast<c10::DeviceIndex>(device_index));
  size_t free_bytes = 0, all_bytes = 0;
  C10_CUDA_CHECK(cudaMemGetInfo(&free_bytes, &all_bytes));
  return static_cast<int64_t>(free_bytes);
}

GpuModel gpu_model(int device_index) {
  cudaDeviceProp properties;
  cuda_check(cudaGetDeviceProperties(&properties, device_index), "cudaGetDeviceProperties");
  return {properties.name, properties.major, properties.minor};
}

std::unique_ptr<Communicator> make_nccl_communicator(Communicator& control, int device_index,
                                                     const std::string& name) {
  const std::string mine = together(control, [&]() -> std::string {
    check_device(device_index);
    if (control.rank() != 0) return {};
    ncclUniqueId fresh;
    nccl_check(ncclGetUniqueId(&fresh), "ncclGetUniqueId");
    return std::string(fresh.internal, sizeof(fresh.internal));
  });
  ncclUniqueId id;
  std::memcpy(id.internal, all_gather_strings(control, mine).at(0).data(), sizeof(id.internal));
  const CUDAGuard guard(static_cast<c10::DeviceIndex>(device_index));
  ncclComm_t comm = nullptr;
  nccl_check(ncclCommInitRank(&comm, control.size(), id, control.rank()), "ncclCommInitRank");
  return std::make_unique<NcclCommunicator>(comm, control.rank(), control.size(), device_index,
                                            name);
}

}  // namespace phalanx
