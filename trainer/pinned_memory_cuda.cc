#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <cuda_runtime_api.h>
#include <fmt/format.h>
#include <sys/mman.h>

#include <cerrno>
#include <system_error>

#include "trainer/pinned_memory.h"

namespace phalanx {
namespace {

[[noreturn]] void fail(int error, const std::string& asked_by, size_t bytes, const char* why) {
  throw std::system_error(
      error, std::generic_category(),
      fmt::format("{}: {} bytes of page-locked memory: {}", asked_by, bytes, why));
}

void* lock_pages(size_t bytes, const std::string& asked_by) {
  void* pages = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) fail(errno, asked_by, bytes, "mmap");
  const cudaError_t error = cudaHostRegister(pages, bytes, cudaHostRegisterPortable);
  if (error != cudaSuccess) {
    munmap(pages, bytes);
    fail(ENOMEM, asked_by, bytes, cudaGetErrorString(error));
  }
  return pages;
}

}  // namespace

at::Tensor pinned_zeros(int64_t numel, at::ScalarType dtype, const std::string& asked_by) {
  const auto options = at::TensorOptions(at::kCPU).dtype(dtype);
  if (numel == 0) return at::empty({0}, options);
  const size_t bytes = static_cast<size_t>(numel) * c10::elementSize(dtype);
  const auto give_back = [bytes](void* pages) {
    cudaHostUnregister(pages);
    munmap(pages, bytes);
  };
  return at::from_blob(lock_pages(bytes, asked_by), {numel}, give_back, options);
}

}  // namespace phalanx
