#include "model/kernels/flash_attention.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <atomic>
#include <cmath>

#include "model/kernels/flash_block.h"
#include "parallel/kernels/packed_gemm.h"

namespace phalanx {
namespace {

using kernels::FlashRun;
using kernels::PackedGemmIsa;

/// The query heads of a key-value head lie side by side (split_heads()).
struct Group {
  int64_t first_query = 0, num_queries = 0;
};

std::vector<Group> groups_of(const AttentionShape& shape) {
  std::vector<Group> groups(static_cast<size_t>(shape.num_kv_heads));
  for (int64_t i = 0; i < shape.num_query_heads(); ++i) {
    Group& group = groups[static_cast<size_t>(shape.query_to_kv[static_cast<size_t>(i)])];
    if (group.num_queries++ == 0) group.first_query = i;
    TORCH_INTERNAL_ASSERT(group.first_query + group.num_queries == i + 1,
                          "query heads of a key-value head lie side by side");
  }
  for (const Group& group : groups) {
    TORCH_INTERNAL_ASSERT(group.num_queries > 0, "every key-value head serves a query");
  }
  return groups;
}

std::vector<Segment> segments_of(const AttentionShape& shape) {
  if (!shape.segments.empty()) return shape.segments;
  std::vector<Segment> rows;
  for (int64_t b = 0; b < shape.batch; ++b) rows.push_back({b, 0, shape.length});
  return rows;
}

/// The tensors of a pass; the gradients are undefined in the forward one.
struct Tensors {
  at::Tensor qkv_NF, o_NF, logsumexp_BhT, do_NF, dqkv_NF;
};

void* at_element(const at::Tensor& x, int64_t element) {
  if (!x.defined()) return nullptr;
  return static_cast<char*>(x.mutable_data_ptr()) + element * x.element_size();
}

FlashRun run_of(const Tensors& t, const AttentionShape& shape, const Segment& segment,
                const Group& group, int64_t kv_head) {
  const int64_t h = shape.num_query_heads(), d = shape.head_dim;
  const int64_t token = segment.sequence * shape.length + segment.begin;
  FlashRun run;
  run.bf16 = t.qkv_NF.scalar_type() == at::kBFloat16;
  run.length = segment.end - segment.begin;
  run.head_dim = d;
  run.num_query_heads = group.num_queries;
  run.window = shape.window;
  run.scale = static_cast<float>(1.0 / std::sqrt(double(d)));
  run.row_stride = t.qkv_NF.stride(0);
  run.o_row_stride = h * d;
  const int64_t row = token * run.row_stride;
  const int64_t q = row + group.first_query * d, k = row + (h + kv_head) * d;
  const int64_t v = k + shape.num_kv_heads * d;
  const int64_t o = token * run.o_row_stride + group.first_query * d;
  run.q = at_element(t.qkv_NF, q), run.k = at_element(t.qkv_NF, k);
  run.v = at_element(t.qkv_NF, v), run.o = at_element(t.o_NF, o);
  run.logsumexp = t.logsumexp_BhT.mutable_data_ptr<float>() +
                  (segment.sequence * h + group.first_query) * shape.length + segment.begin;
  run.logsumexp_head_stride = shape.length;
  run.d_o = at_element(t.do_NF, o);
  run.dq = at_element(t.dqkv_NF, q), run.dk = at_element(t.dqkv_NF, k);
  run.dv = at_element(t.dqkv_NF, v);
  return run;
}

using Pass = void (*)(const FlashRun&, float*);

/// All runs, taken by the threads as they come, since documents differ in length.
void run_all(const Tensors& tensors, const AttentionShape& shape, Pass pass, int64_t floats) {
  const std::vector<Segment> segments = segments_of(shape);
  const std::vector<Group> groups = groups_of(shape);
  const int64_t num_groups = shape.num_kv_heads;
  const int64_t num_runs = static_cast<int64_t>(segments.size()) * num_groups;
  const int64_t num_threads = std::min<int64_t>(at::get_num_threads(), num_runs);
  const at::Tensor workspace = at::empty({num_threads, floats}, at::kFloat);
  float* base = workspace.mutable_data_ptr<float>();
  std::atomic<int64_t> next{0};
  at::parallel_for(0, num_threads, 1, [&](int64_t first, int64_t) {
    for (int64_t i = next++; i < num_runs; i = next++) {
      const int64_t kv_head = i % num_groups;
      const Group& group = groups[static_cast<size_t>(kv_head)];
      const Segment& segment = segments[static_cast<size_t>(i / num_groups)];
      if (segment.end <= segment.begin) continue;
      pass(run_of(tensors, shape, segment, group, kv_head), base + first * floats);
    }
  });
}

PackedGemmIsa isa_for(at::ScalarType dtype) {
  return kernels::packed_gemm_isa(dtype == at::kBFloat16 ? kernels::GemmInput::kBf16
                                                         : kernels::GemmInput::kFp32);
}

int64_t longest_run(const AttentionShape& shape) {
  int64_t longest = shape.segments.empty() ? shape.length : 0;
  for (const Segment& s : shape.segments) longest = std::max(longest, s.end - s.begin);
  return longest;
}

}  // namespace

bool has_flash_attention(at::DeviceType device, at::ScalarType dtype) {
  const bool type = dtype == at::kFloat || dtype == at::kBFloat16;
  return device == at::kCPU && type && isa_for(dtype) != PackedGemmIsa::kNone;
}

void flash_attention(const at::Tensor& qkv_NF, const AttentionShape& shape, const at::Tensor& o_NF,
                     const at::Tensor& logsumexp_BhT) {
  const PackedGemmIsa isa = isa_for(qkv_NF.scalar_type());
  run_all({qkv_NF, o_NF, logsumexp_BhT, {}, {}}, shape,
          isa == PackedGemmIsa::kAvx512Bf16 ? kernels::flash_forward_avx512_bf16
          : isa == PackedGemmIsa::kAvx512   ? kernels::flash_forward_avx512
                                            : kernels::flash_forward_avx2,
          kernels::flash_forward_floats(longest_run(shape), shape.head_dim));
}

at::Tensor flash_attention_backward(const at::Tensor& do_NF, const at::Tensor& qkv_NF,
                                    const at::Tensor& o_NF, const at::Tensor& logsumexp_BhT,
                                    const AttentionShape& shape) {
  const PackedGemmIsa isa = isa_for(qkv_NF.scalar_type());
  at::Tensor dqkv_NF = at::empty_like(qkv_NF);
  run_all({qkv_NF, o_NF, logsumexp_BhT, do_NF.contiguous(), dqkv_NF}, shape,
          isa == PackedGemmIsa::kAvx512Bf16 ? kernels::flash_backward_avx512_bf16
          : isa == PackedGemmIsa::kAvx512   ? kernels::flash_backward_avx512
                                            : kernels::flash_backward_avx2,
          kernels::flash_backward_floats(longest_run(shape), shape.head_dim));
  return dqkv_NF;
}

}  // namespace phalanx
