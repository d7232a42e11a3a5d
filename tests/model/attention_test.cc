// Grouped-query attention with explicit head maps: the flash kernels against materialised scores,
// and gradients against finite differences in double.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

#include "model/kernels/attention_core.h"
#include "model/kernels/flash_attention.h"
#include "tests/model/random_tensor.h"
#include "tests/support/test_device.h"

namespace phalanx {
namespace {

using Map = std::vector<int64_t>;

class Attention : public OnTestDevice {};

/// Of fp32 against double. On a GPU wider by three bits, which it costs to make a product of fp32
/// of three of TF32, as its kernel may.
double rounding(double on_cpu) { return test_device().is_cpu() ? on_cpu : 10 * on_cpu; }

AttentionShape make_shape(int64_t batch, int64_t length, int64_t head_dim, const Map& map,
                          std::vector<Segment> segments = {}) {
  return {batch, length, head_dim, map, map.back() + 1, std::move(segments)};
}

AttentionShape windowed(AttentionShape shape, int64_t window) {
  shape.window = window;
  return shape;
}

at::Tensor random_qkv(const AttentionShape& shape, uint64_t seed) {
  const int64_t heads = shape.num_query_heads() + 2 * shape.num_kv_heads;
  return random_tensor({shape.batch * shape.length, heads * shape.head_dim}, seed);
}

at::Tensor random_do(const AttentionShape& shape, uint64_t seed) {
  return random_tensor({shape.batch * shape.length, shape.num_query_heads() * shape.head_dim},
                       seed);
}

/// One query after another, in double.
at::Tensor definition(const at::Tensor& qkv_NF, const AttentionShape& shape) {
  const int64_t h = shape.num_query_heads(), dim = shape.head_dim, t = shape.length;
  const at::Tensor x = qkv_NF.to(at::kDouble).view({shape.batch, t, -1, dim});
  std::vector<Segment> segments = shape.segments;
  if (segments.empty()) {
    for (int64_t b = 0; b < shape.batch; ++b) segments.push_back({b, 0, t});
  }
  at::Tensor o = at::zeros({shape.batch, t, h, dim}, at::TensorOptions(at::kDouble));
  for (const Segment& s : segments) {
    const at::Tensor rows = x[s.sequence].slice(0, s.begin, s.end);
    const int64_t n = s.end - s.begin;
    const at::Tensor all = at::ones({n, n}, at::TensorOptions(at::kBool));
    at::Tensor hidden = all.triu(1);
    if (shape.window > 0) hidden = hidden.logical_or(all.tril(-shape.window));
    for (int64_t i = 0; i < h; ++i) {
      const int64_t kv = shape.query_to_kv[static_cast<size_t>(i)];
      const at::Tensor q = rows.select(1, i), k = rows.select(1, h + kv);
      const at::Tensor v = rows.select(1, h + shape.num_kv_heads + kv);
      const at::Tensor scores = at::mm(q, k.t()) / std::sqrt(static_cast<double>(dim));
      const at::Tensor p =
          scores.masked_fill(hidden, -std::numeric_limits<double>::infinity()).softmax(-1);
      o[s.sequence].slice(0, s.begin, s.end).select(1, i).copy_(at::mm(p, v));
    }
  }
  return o.view({shape.batch * t, h * dim});
}

struct Results {
  at::Tensor o_NF, dqkv_NF;
};

Results run(const at::Tensor& qkv_NF, const at::Tensor& do_NF, const AttentionShape& shape) {
  AttentionSaved saved;
  const at::Tensor qkv = qkv_NF.to(test_device());
  const at::Tensor o_NF = attention(qkv, shape, saved);
  return {o_NF.cpu(), attention_backward(do_NF.to(test_device()), qkv, shape, saved).cpu()};
}

std::vector<AttentionShape> shapes() {
  std::vector<AttentionShape> all;
  for (const Map& map : {Map{0, 0, 0, 0, 1}, Map{0, 0, 0, 1, 1}, Map{0, 1, 2}, Map{0, 0, 0, 0}}) {
    all.push_back(make_shape(2, 1, 4, map));
    all.push_back(make_shape(3, 7, 6, map));
    all.push_back(make_shape(1, 65, 16, map));
    all.push_back(make_shape(2, 9, 4, map, {{0, 0, 4}, {0, 4, 9}, {1, 0, 1}, {1, 1, 9}}));
  }
  // Several blocks of queries (48) and keys (64), and heads that fill no vector.
  const Map map{0, 0, 1};
  all.push_back(make_shape(1, 200, 10, map));
  all.push_back(make_shape(2, 193, 32, map, {{0, 0, 97}, {0, 97, 193}, {1, 0, 49}, {1, 49, 193}}));
  // Runs of whole key blocks, whose last tile of queries is not whole.
  all.push_back(make_shape(1, 64, 32, map));
  all.push_back(make_shape(1, 256, 64, map));
  for (const int64_t window : {1, 3, 48, 64, 65, 150}) {
    all.push_back(windowed(make_shape(1, 200, 6, map), window));
  }
  all.push_back(windowed(make_shape(1, 150, 8, map, {{0, 0, 80}, {0, 80, 150}}), 50));
  return all;
}

std::string name_of(const AttentionShape& shape) {
  std::string text = std::to_string(shape.batch) + " x " + std::to_string(shape.length) + ", map";
  for (const int64_t kv : shape.query_to_kv) text += " " + std::to_string(kv);
  if (shape.window > 0) text += ", window " + std::to_string(shape.window);
  return text + (shape.segments.empty() ? "" : ", documents");
}

TEST_F(Attention, FlashAndPlainKernelsAgreeWithTheDefinition) {
  for (const AttentionShape& shape : shapes()) {
    const at::Tensor qkv = random_qkv(shape, 1);
    const at::Tensor expected = definition(qkv, shape);
    const at::Tensor flash = run(qkv, random_do(shape, 2), shape).o_NF;
    const at::Tensor plain = attention_plain(qkv.to(test_device()), shape).cpu();
    EXPECT_LT(relative_error(flash, expected), rounding(1e-6)) << name_of(shape);
    EXPECT_LT(relative_error(plain, expected), rounding(1e-6)) << name_of(shape);
  }
}

TEST_F(Attention, GradientsAreTheFiniteDifferencesOfTheDefinition) {
  for (const AttentionShape& shape :
       {make_shape(2, 5, 4, {0, 0, 0, 0, 1}), make_shape(1, 6, 2, {0, 0, 0, 1, 1}),
        make_shape(2, 6, 2, {0, 0, 0, 0, 1}, {{0, 0, 2}, {0, 2, 6}, {1, 0, 5}, {1, 5, 6}}),
        make_shape(1, 4, 4, {0, 1}), windowed(make_shape(1, 7, 2, {0, 0, 1}), 3)}) {
    const at::Tensor qkv = random_qkv(shape, 1), dout = random_do(shape, 2);
    const auto of_qkv = [&](const at::Tensor& x) {
      return (definition(x, shape) * dout.to(at::kDouble)).sum().item<double>();
    };
    EXPECT_LT(relative_error(run(qkv, dout, shape).dqkv_NF, numeric_gradient(of_qkv, qkv)),
              rounding(3e-6))
        << name_of(shape);
  }
}

TEST_F(Attention, GradientsOfManyBlocksAreThoseOfThePlainTwin) {
  for (const AttentionShape& shape : shapes()) {
    const at::Tensor qkv = random_qkv(shape, 1), dout = random_do(shape, 2);
    const at::Tensor plain =
        attention_backward_plain(dout.to(test_device()), qkv.to(test_device()), shape).cpu();
    EXPECT_LT(relative_error(run(qkv, dout, shape).dqkv_NF, plain), rounding(3e-6))
        << name_of(shape);
  }
}

TEST_F(Attention, InBf16OutputAndGradientStayWithinItsRoundingOfFp32) {
  for (const AttentionShape& shape : shapes()) {
    const at::Tensor qkv = random_qkv(shape, 1).to(at::kBFloat16);
    const at::Tensor dout = random_do(shape, 2).to(at::kBFloat16);
    const Results truth = run(qkv.to(at::kFloat), dout.to(at::kFloat), shape);
    const Results found = run(qkv, dout, shape);
    EXPECT_LT(relative_error(found.o_NF, truth.o_NF), 5e-3) << name_of(shape);
    EXPECT_LT(relative_error(found.dqkv_NF, truth.dqkv_NF), 1e-2) << name_of(shape);
  }
}

TEST_F(Attention, DocumentsGiveWhatTheyGiveAsSequencesOfTheirOwn) {
  const AttentionShape both = make_shape(1, 9, 4, {0, 0, 0, 0, 1}, {{0, 0, 4}, {0, 4, 9}});
  const at::Tensor qkv = random_qkv(both, 1), dout = random_do(both, 2);
  const Results together = run(qkv, dout, both);
  for (const Segment& s : both.segments) {
    const int64_t n = s.end - s.begin;
    const Results alone = run(qkv.narrow(0, s.begin, n).clone(), dout.narrow(0, s.begin, n).clone(),
                              make_shape(1, n, both.head_dim, both.query_to_kv));
    EXPECT_TRUE(at::equal(together.o_NF.narrow(0, s.begin, n), alone.o_NF));
    EXPECT_TRUE(at::equal(together.dqkv_NF.narrow(0, s.begin, n), alone.dqkv_NF));
  }
}

TEST_F(Attention, NothingFlowsFromOneDocumentOrALaterTokenToAnother) {
  const AttentionShape shape = make_shape(1, 9, 4, {0, 0, 1}, {{0, 0, 4}, {0, 4, 9}});
  const at::Tensor qkv = random_qkv(shape, 1);
  at::Tensor dout = at::zeros_like(random_do(shape, 2));
  dout[6].fill_(1);
  const Results found = run(qkv, dout, shape);
  EXPECT_EQ(found.dqkv_NF.narrow(0, 0, 4).abs().max().item<float>(), 0.0F);
  EXPECT_EQ(found.dqkv_NF.narrow(0, 7, 2).abs().max().item<float>(), 0.0F);
  EXPECT_GT(found.dqkv_NF[4].abs().max().item<float>(), 1e-3F);
  at::Tensor changed = qkv.clone();
  changed[3].mul_(-2);
  changed[7].mul_(-2);
  const at::Tensor after = run(changed, dout, shape).o_NF;
  for (const int64_t same : {0, 1, 2, 4, 5, 6}) {
    EXPECT_TRUE(at::equal(after[same], found.o_NF[same])) << "token " << same;
  }
  EXPECT_FALSE(at::equal(after[3], found.o_NF[3]));
}

TEST_F(Attention, OneAndTwoThreadsGiveEqualBits) {
  SKIP_UNDER_THREAD_SANITIZER("OpenMP");
  const AttentionShape shape = make_shape(3, 150, 8, {0, 0, 0, 0, 1});
  const at::Tensor qkv = random_qkv(shape, 1), dout = random_do(shape, 2);
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    EXPECT_TRUE(equal_at_one_and_two_threads([&] {
      const Results found = run(qkv.to(type), dout.to(type), shape);
      return std::vector<at::Tensor>{found.o_NF, found.dqkv_NF};
    })) << type;
  }
}

/// As kernels for rows of any length want them; a gap between documents would be another's tokens.
TEST_F(Attention, OffsetsOfSegmentsCoverAllTokensInOrder) {
  const at::Tensor offsets =
      segment_offsets({{0, 0, 3}, {0, 3, 4}, {1, 0, 4}}, /*length=*/4, test_device());
  EXPECT_TRUE(at::equal(offsets.cpu(), at::tensor({0, 3, 4, 8}, at::kInt)));
  EXPECT_ANY_THROW((void)segment_offsets({{0, 0, 2}, {0, 3, 4}}, 4, at::kCPU));
}

/// Said before the first step: all scores in memory may be more than there is.
TEST_F(Attention, TextSaysWhatIsLeftToPlainOperations) {
  const bool blocks = has_flash_attention(at::kCPU, at::kFloat);
  EXPECT_EQ(attention_text(at::kCPU, at::kFloat, 8, 3, 8) == "packed blocks", blocks);
  EXPECT_EQ(attention_text(at::kCPU, at::kHalf, 8, 0, 8), "LibTorch's kernel");
  EXPECT_EQ(attention_text(at::kCPU, at::kHalf, 8, 8, 8), "LibTorch's kernel");  // hides nothing
  EXPECT_EQ(attention_text(at::kCPU, at::kHalf, 8, 7, 8),
            "plain operations with all scores in memory, since no kernel for cpu has a sliding "
            "window (of 7 keys in rows of 8)");
  EXPECT_EQ(attention_text(at::kCUDA, at::kBFloat16, 128, 7, 8), "FlashAttention-2");
  EXPECT_EQ(attention_text(at::kCUDA, at::kFloat, 12, 0, 8), "LibTorch's kernel");
  EXPECT_NE(attention_text(at::kCUDA, at::kFloat, 128, 7, 8), "FlashAttention-2");
}

/// LibTorch has no instance for them on GPUs, where its operation would throw at the first step.
TEST_F(Attention, HeadsThatNoKernelOfAGpuTakesAreLeftToPlainOperations) {
  EXPECT_EQ(attention_kernel(at::kCUDA, at::kFloat, 6, 0, 8), AttentionKernel::kPlain);
  EXPECT_EQ(attention_kernel(at::kCUDA, at::kBFloat16, 12, 0, 8), AttentionKernel::kPlain);
  EXPECT_EQ(attention_kernel(at::kCUDA, at::kBFloat16, 264, 0, 8), AttentionKernel::kLibrary);
  EXPECT_EQ(
      attention_text(at::kCUDA, at::kBFloat16, 12, 0, 8),
      "plain operations with all scores in memory, since no kernel for cuda takes heads of 12 "
      "features in BFloat16");
}

}  // namespace
}  // namespace phalanx
