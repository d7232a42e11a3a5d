# Layers that are split over ranks; random_tensor.h draws with the model's generator.
phalanx_test(NAME layers_test LABEL ranks
  SOURCES layers_grad_buckets_test.cc layers_shard_test.cc layers_test.cc
  LIBS phalanx_model)
set_target_properties(layers_test PROPERTIES POSITION_INDEPENDENT_CODE OFF)
target_compile_options(layers_test PRIVATE -fPIC)
phalanx_precompile(layers_test)
phalanx_test(NAME stochastic_round_test LABEL unit SOURCES stochastic_round_test.cc
             LIBS phalanx_parallel)
phalanx_test(NAME gemm_test LABEL unit SOURCES gemm_test.cc LIBS phalanx_parallel)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|amd64|AMD64")
  phalanx_test(NAME packed_gemm_test LABEL unit SOURCES packed_gemm_test.cc LIBS phalanx_parallel)
  target_compile_options(packed_gemm_test PRIVATE -mavx2 -mfma -ffp-contract=fast -Wno-psabi)
  set_target_properties(packed_gemm_test PROPERTIES DISABLE_PRECOMPILE_HEADERS ON)
endif()
