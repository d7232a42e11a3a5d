# Layers that are split over ranks; random_tensor.h draws with the model's generator.
phalanx_test(NAME layers_test LABEL ranks
  SOURCES layers_grad_buckets_test.cc layers_shard_test.cc layers_test.cc
  LIBS phalanx_model)
set_target_properties(layers_test PROPERTIES POSITION_INDEPENDENT_CODE OFF)
target_compile_options(layers_test PRIVATE -fPIC)
phalanx_precompile(layers_test)
