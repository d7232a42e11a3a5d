#pragma once
// Device tensors between GPUs. Two files implement this header: nccl_communicator.cc, and in a
// build without CUDA no_nccl_communicator.cc, whose makers say so.
//
// Collective over `control`, a host communicator with the same ranks: the maker.
// Stream: each communicator owns one stream. A collective waits for what the current stream holds
// when it is called; Work::wait() makes the then current stream wait for it. The host never blocks,
// except in barrier().
// Ownership: Work keeps its tensors alive until wait(). wait() must be called on the stream that
// the tensors were allocated on; a Work dropped without wait() hands them to the allocator's care.
// Threads: all NCCL calls of a process come from one thread in one order, or two communicators in
// flight may deadlock.
// The destructor abandons work in flight and is local: synchronise first.
// Errors: NCCL and CUDA failures are std::runtime_error; a build without CUDA is
// std::invalid_argument.
#include <cstdint>
#include <memory>
#include <string>

#include "parallel/communicator.h"

namespace phalanx {

/// GPUs that this process sees; 0 in a build without CUDA.
int num_cuda_devices();

/// Bytes that a GPU of this process has free; 0 in a build without CUDA. Local.
int64_t free_device_memory(int device_index);

/// Compute capability of a GPU of this process, 90 for 9.0; 0 in a build without CUDA. Local.
int compute_capability(int device_index);

/// A communicator over the ranks of `control`, with this rank on GPU `device_index`.
std::unique_ptr<Communicator> make_nccl_communicator(Communicator& control, int device_index,
                                                     const std::string& name);

}  // namespace phalanx
