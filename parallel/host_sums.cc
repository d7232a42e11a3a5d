#include "parallel/host_sums.h"

#include <c10/util/BFloat16.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <bit>
#include <type_traits>
#include <vector>

namespace phalanx {
namespace {

// An accumulator block stays in the first-level cache while all inputs pass over it.
constexpr int64_t kBlock = 2048;
constexpr int64_t kSliceGrain = 16;

template <typename T>
struct Sum {
  static T apply(T a, T b) {
    if constexpr (std::is_integral_v<T>) {
      using Unsigned = std::make_unsigned_t<T>;  // signed overflow would be undefined
      return static_cast<T>(static_cast<Unsigned>(a) + static_cast<Unsigned>(b));
    } else {
      return a + b;
    }
  }
};

template <typename T>
struct Max {
  static T apply(T a, T b) { return (b > a || b != b) ? b : a; }
};

template <typename T, typename Wide, template <typename> class Op>
void reduce_blocks(std::byte* output, std::span<const std::byte* const> inputs, int64_t count) {
  alignas(64) Wide total[kBlock];
  T* out = reinterpret_cast<T*>(output);
  for (int64_t begin = 0; begin < count; begin += kBlock) {
    const int64_t length = std::min(kBlock, count - begin);
    const auto input = [&](size_t k) { return reinterpret_cast<const T*>(inputs[k]) + begin; };
    const T *first = input(0), *second = inputs.size() > 1 ? input(1) : nullptr;
    for (int64_t i = 0; i < length; ++i) {
      const Wide value = static_cast<Wide>(first[i]);
      total[i] = second ? Op<Wide>::apply(value, static_cast<Wide>(second[i])) : value;
    }
    for (size_t k = 2; k < inputs.size(); ++k) {
      const T* next = input(k);
      for (int64_t i = 0; i < length; ++i) {
        total[i] = Op<Wide>::apply(total[i], static_cast<Wide>(next[i]));
      }
    }
    for (int64_t i = 0; i < length; ++i) out[begin + i] = static_cast<T>(total[i]);
  }
}

/// total = the tree's sum of a block of at most kBlock elements. The left part is the largest power
/// of two below the number of inputs. `scratch` has a block for each level.
template <typename T, typename Wide>
void tree_block(std::span<const std::byte* const> inputs, int64_t begin, int64_t length,
                Wide* total, Wide* scratch) {
  if (inputs.size() == 1) {
    const T* only = reinterpret_cast<const T*>(inputs[0]) + begin;
    for (int64_t i = 0; i < length; ++i) total[i] = static_cast<Wide>(only[i]);
    return;
  }
  const size_t left = std::bit_ceil(inputs.size()) / 2;
  tree_block<T>(inputs.first(left), begin, length, total, scratch);
  tree_block<T>(inputs.subspan(left), begin, length, scratch, scratch + kBlock);
  for (int64_t i = 0; i < length; ++i) total[i] = Sum<Wide>::apply(total[i], scratch[i]);
}

template <typename T, typename Wide>
void sum_tree(std::byte* output, std::span<const std::byte* const> inputs, int64_t count) {
  const auto levels = static_cast<size_t>(std::bit_width(inputs.size()));
  std::vector<Wide> blocks((1 + levels) * static_cast<size_t>(kBlock));
  T* out = reinterpret_cast<T*>(output);
  for (int64_t begin = 0; begin < count; begin += kBlock) {
    const int64_t length = std::min(kBlock, count - begin);
    tree_block<T>(inputs, begin, length, blocks.data(), blocks.data() + kBlock);
    for (int64_t i = 0; i < length; ++i) out[begin + i] = static_cast<T>(blocks[i]);
  }
}

[[noreturn]] void refuse_type(at::ScalarType dtype) {
  TORCH_CHECK(false,
              "reduction over ranks: expected float32, float64, bfloat16, int32 or "
              "int64, found ",
              c10::toString(dtype));
}

template <typename T, typename Wide>
void reduce_typed(std::byte* output, std::span<const std::byte* const> inputs, int64_t count,
                  ReduceOp op) {
  if (op == ReduceOp::kSum) {
    reduce_blocks<T, Wide, Sum>(output, inputs, count);
  } else {
    reduce_blocks<T, Wide, Max>(output, inputs, count);
  }
}

}  // namespace

void reduce_in_order(std::byte* output, std::span<const std::byte* const> inputs, int64_t count,
                     at::ScalarType dtype, ReduceOp op) {
  switch (dtype) {
    case at::kFloat:
      return reduce_typed<float, float>(output, inputs, count, op);
    case at::kDouble:
      return reduce_typed<double, double>(output, inputs, count, op);
    case at::kBFloat16:
      return reduce_typed<c10::BFloat16, float>(output, inputs, count, op);
    case at::kInt:
      return reduce_typed<int32_t, int32_t>(output, inputs, count, op);
    case at::kLong:
      return reduce_typed<int64_t, int64_t>(output, inputs, count, op);
    default:
      refuse_type(dtype);
  }
}

void sum_in_tree(std::byte* output, std::span<const std::byte* const> inputs, int64_t count,
                 at::ScalarType dtype) {
  switch (dtype) {
    case at::kFloat:
      return sum_tree<float, float>(output, inputs, count);
    case at::kDouble:
      return sum_tree<double, double>(output, inputs, count);
    case at::kBFloat16:
      return sum_tree<c10::BFloat16, float>(output, inputs, count);
    case at::kInt:
      return sum_tree<int32_t, int32_t>(output, inputs, count);
    case at::kLong:
      return sum_tree<int64_t, int64_t>(output, inputs, count);
    default:
      refuse_type(dtype);
  }
}

void sum_in(SumOrder order, std::byte* output, std::span<const std::byte* const> inputs,
            int64_t count, at::ScalarType dtype) {
  if (order == SumOrder::kTreeOrder) return sum_in_tree(output, inputs, count, dtype);
  reduce_in_order(output, inputs, count, dtype, ReduceOp::kSum);
}

int64_t slice_begin(int64_t count, int parts, int index) {
  const int64_t grains = (count + kSliceGrain - 1) / kSliceGrain;
  return std::min(count, grains * index / parts * kSliceGrain);
}

}  // namespace phalanx
