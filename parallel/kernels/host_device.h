#pragma once
// PHALANX_HOST_DEVICE marks functions that the CPU and CUDA kernels share.
#ifdef __CUDACC__
#define PHALANX_HOST_DEVICE __host__ __device__
#else
#define PHALANX_HOST_DEVICE
#endif
