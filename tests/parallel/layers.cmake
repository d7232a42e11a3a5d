# Layers that are split over ranks; random_tensor.h draws with the model's generator.
phalanx_test(NAME layers_test LABEL ranks
  SOURCES fp8_test.cc layers_grad_buckets_test.cc layers_overlap_test.cc layers_shard_test.cc layers_test.cc
          vocab_rows_test.cc
  LIBS phalanx_model)
set(layer_tests layers_test)
if(PHALANX_HAS_CUDA)
  phalanx_test(NAME vocab_rows_gpu_test LABEL gpu SOURCES vocab_rows_gpu_test.cc LIBS phalanx_model)
  target_compile_definitions(vocab_rows_gpu_test PRIVATE PHALANX_TEST_DEVICE="cuda")
  phalanx_test(NAME gemm_gpu_test LABEL gpu SOURCES gemm_gpu_test.cc LIBS phalanx_model)
  target_compile_definitions(gemm_gpu_test PRIVATE PHALANX_TEST_DEVICE="cuda")
  phalanx_test(NAME fp8_gpu_test LABEL gpu SOURCES fp8_test.cc LIBS phalanx_model)
  target_compile_definitions(fp8_gpu_test PRIVATE PHALANX_TEST_DEVICE="cuda")
  list(APPEND layer_tests vocab_rows_gpu_test gemm_gpu_test fp8_gpu_test)
endif()
foreach(target ${layer_tests})
  set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
  target_compile_options(${target} PRIVATE -fPIC)
  phalanx_precompile(${target})
endforeach()
phalanx_test(NAME cross_entropy_test LABEL unit SOURCES cross_entropy_test.cc LIBS phalanx_model)
phalanx_test(NAME stochastic_round_test LABEL unit SOURCES stochastic_round_test.cc
             LIBS phalanx_parallel)
phalanx_test(NAME gemm_test LABEL unit SOURCES gemm_test.cc LIBS phalanx_parallel)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|amd64|AMD64")
  phalanx_test(NAME packed_gemm_test LABEL unit SOURCES packed_gemm_test.cc LIBS phalanx_parallel)
  target_compile_options(packed_gemm_test PRIVATE -mavx2 -mfma -ffp-contract=fast -Wno-psabi)
  set_target_properties(packed_gemm_test PROPERTIES DISABLE_PRECOMPILE_HEADERS ON)
endif()
