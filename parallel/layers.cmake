target_sources(phalanx_parallel PRIVATE
  fp8.cc grad_buckets.cc leaf_sums.cc parameters.cc shard_spec.cc gemm.cc tp_linear.cc tp_ops.cc tp_overlap.cc
  vocab_parallel.cc kernels/cross_entropy.cc kernels/packed_gemm.cc kernels/stochastic_add.cc)
phalanx_row_kernels(kernels/cross_entropy.cc)
# Each instruction set has a file of its own, compiled for it whatever the machine that builds, and is
# taken at run time where the processor has it.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|amd64|AMD64")
  target_sources(phalanx_parallel PRIVATE
    kernels/packed_gemm_x86.cc kernels/packed_gemm_avx2.cc kernels/packed_gemm_avx512.cc
    kernels/packed_gemm_avx512_bf16.cc)
  set_source_files_properties(kernels/packed_gemm_avx2.cc PROPERTIES
    SKIP_PRECOMPILE_HEADERS ON COMPILE_OPTIONS "-O3;-mavx2;-mfma;-ffp-contract=fast")
  set_source_files_properties(kernels/packed_gemm_avx512.cc PROPERTIES
    SKIP_PRECOMPILE_HEADERS ON COMPILE_OPTIONS "-O3;-mavx512f;-mfma;-ffp-contract=fast")
  set_source_files_properties(kernels/packed_gemm_avx512_bf16.cc PROPERTIES
    SKIP_PRECOMPILE_HEADERS ON
    COMPILE_OPTIONS "-O3;-mavx512f;-mavx512bf16;-mfma;-ffp-contract=fast")
else()
  target_sources(phalanx_parallel PRIVATE kernels/no_packed_gemm.cc)
endif()
set_source_files_properties(kernels/stochastic_add.cc PROPERTIES
  SKIP_PRECOMPILE_HEADERS ON COMPILE_OPTIONS "-O3")
if(PHALANX_HAS_CUDA)
  target_sources(phalanx_parallel PRIVATE
    kernels/cross_entropy_cuda.cu kernels/embedding_gradient_cuda.cu kernels/fp8_cuda.cu
    kernels/fp8_product_cuda.cc kernels/stochastic_add_cuda.cu)
  set_source_files_properties(kernels/stochastic_add_cuda.cu PROPERTIES COMPILE_OPTIONS "-fmad=false")
else()
  target_sources(phalanx_parallel PRIVATE
    kernels/no_vocab_rows_cuda.cc kernels/no_stochastic_add_cuda.cc)
endif()
