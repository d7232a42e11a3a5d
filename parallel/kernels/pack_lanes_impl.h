#pragma once
// The lanes of packed panels (micro_kernel.h) read from strided memory: a lane is 32 bits, one fp32
// number (a bf16 one is widened) or a pair of bf16. Included by one file for each instruction set;
// all is local to it.
#include <cstdint>
#include <cstring>

namespace phalanx::kernels {
namespace {

inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
inline int64_t round_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

inline float widened(float x) { return x; }
inline float widened(uint16_t x) {
  const uint32_t bits = uint32_t{x} << 16;
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

/// To nearest even; NaN stays NaN.
inline uint16_t rounded(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof(bits));
  if ((bits & 0x7fffffffu) > 0x7f800000u) return uint16_t((bits >> 16) | 0x40u);
  return uint16_t((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

typedef uint32_t Lanes4 __attribute__((vector_size(16)));
typedef uint16_t Halves4 __attribute__((vector_size(8)));

/// How lanes for elements of type Element are made from T.
template <class Element, class T>
struct PackLanes;

template <class T>
struct PackLanes<float, T> {
  using Lane = float;
  static inline Lane lane(const T* first, int64_t, bool) { return widened(*first); }
  /// Four lanes of a line that is contiguous in depth.
  static inline Lanes4 load4(const T* x) {
    Lanes4 lanes;
    if constexpr (sizeof(T) == sizeof(float)) {
      std::memcpy(&lanes, x, sizeof(lanes));
    } else {
      Halves4 halves;
      std::memcpy(&halves, x, sizeof(halves));
      lanes = __builtin_convertvector(halves, Lanes4) << 16;
    }
    return lanes;
  }
};

template <>
struct PackLanes<uint16_t, uint16_t> {
  using Lane = uint32_t;
  /// The element at `first` and, where the line goes on, the next one.
  static inline Lane lane(const uint16_t* first, int64_t depth_stride, bool alone) {
    return uint32_t{*first} | (alone ? 0u : uint32_t{first[depth_stride]} << 16);
  }
  static inline Lanes4 load4(const uint16_t* x) {
    Lanes4 lanes;
    std::memcpy(&lanes, x, sizeof(lanes));
    return lanes;
  }
};

/// out[q * width + i] = x[i][q], 4 x 4.
inline void store_transposed(const Lanes4 (&x)[4], void* out, int64_t width) {
  const Lanes4 a = __builtin_shuffle(x[0], x[1], Lanes4{0, 4, 1, 5});
  const Lanes4 b = __builtin_shuffle(x[2], x[3], Lanes4{0, 4, 1, 5});
  const Lanes4 c = __builtin_shuffle(x[0], x[1], Lanes4{2, 6, 3, 7});
  const Lanes4 d = __builtin_shuffle(x[2], x[3], Lanes4{2, 6, 3, 7});
  const Lanes4 rows[4] = {
      __builtin_shuffle(a, b, Lanes4{0, 1, 4, 5}), __builtin_shuffle(a, b, Lanes4{2, 3, 6, 7}),
      __builtin_shuffle(c, d, Lanes4{0, 1, 4, 5}), __builtin_shuffle(c, d, Lanes4{2, 3, 6, 7})};
  for (int q = 0; q < 4; ++q) {
    std::memcpy(static_cast<char*>(out) + q * width * 4, &rows[q], sizeof(rows[q]));
  }
}

}  // namespace
}  // namespace phalanx::kernels
