#pragma once
// What LibTorch's CUDA parts are told before their first use, by a run that asks for them. Local;
// once a process, before the first tensor on a GPU. What a user has set in the environment stays.
namespace phalanx {

/// No sums in bf16, workspaces of cuBLAS of a fixed size (CUBLAS_WORKSPACE_CONFIG), and memory in
/// segments that grow (PYTORCH_ALLOC_CONF), so that rows of another length do not leave it in
/// pieces that fit nothing. With `same_bits`, which a run with `reproducible` asks for, no atomics
/// in gradients: FlashAttention's backward is a good deal slower then (its documentation, and
/// flash-attention's pull request 1893). But never a pass over each new tensor to fill it, since
/// who makes one writes all of it.
void prepare_cuda(bool same_bits);

/// Before a trace on CPU by a LibTorch with CUDA: keeps its tracer (Kineto) from printing an error
/// because it finds no GPU to describe. Whether the trace was written is checked by StepTrace.
void prepare_cpu_trace();

/// What a run with `reproducible` needs besides: rings for NCCL's sums (NCCL_ALGO), whose order
/// depends on the mesh alone. Before the first communicator. A setting of the user's that allows
/// another order, of NCCL_ALGO or CUBLAS_WORKSPACE_CONFIG, is std::invalid_argument.
void fix_library_sums();

}  // namespace phalanx
