target_sources(phalanx_parallel PRIVATE
  grad_buckets.cc parameters.cc shard_spec.cc gemm.cc tp_linear.cc tp_ops.cc vocab_parallel.cc)
