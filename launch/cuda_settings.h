#pragma once
// What LibTorch's CUDA parts are told before their first use, by a run that asks for them. Local;
// once a process, before the first tensor on a GPU. What a user has set in the environment stays.
namespace phalanx {

/// The same bits in every run: no atomics in gradients, no sums in bf16, and workspaces of cuBLAS
/// of a fixed size (CUBLAS_WORKSPACE_CONFIG), without which LibTorch refuses to multiply; but no
/// pass over each new tensor to fill it, since who makes one writes all of it. And memory in
/// segments that grow (PYTORCH_ALLOC_CONF), so that rows of another length do not leave it in
/// pieces that fit nothing.
void prepare_cuda();

/// Before a trace on CPU by a LibTorch with CUDA: keeps its tracer (Kineto) from printing an error
/// because it finds no GPU to describe. Whether the trace was written is checked by StepTrace.
void prepare_cpu_trace();

/// What a run with `reproducible` needs besides: rings for NCCL's sums (NCCL_ALGO), whose order
/// depends on the mesh alone. Before the first communicator. A setting of the user's that allows
/// another order, of NCCL_ALGO or CUBLAS_WORKSPACE_CONFIG, is std::invalid_argument.
void fix_library_sums();

}  // namespace phalanx
