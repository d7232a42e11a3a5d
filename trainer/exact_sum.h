#pragma once
// A sum of fp64 values that is exact, and therefore the same bits in any order and however it is
// shared out over ranks: a fixed-point number wide enough for every fp64 value. Local; plain words,
// so that sums of several ranks are added word by word and then read.
#include <array>
#include <cstdint>

namespace phalanx {

class ExactSum {
 public:
  /// Words of 32 bits from 2^-1152 up, each with room for carries; and one that counts values that
  /// are not finite.
  static constexpr size_t kNumDigits = 70;
  static constexpr size_t kNumWords = kNumDigits + 1;
  using Words = std::array<int64_t, kNumWords>;

  void add(double value);
  /// Carries are settled: words of up to 2^30 ranks may be added.
  const Words& settled();

  /// The nearest fp64 value but for a few last bits, the same for equal sums; NaN if a value was
  /// not finite.
  static double value_of(Words words);
  double value() const { return value_of(words_); }

 private:
  Words words_{};
  int64_t additions_ = 0;  // since the carries were settled
};

}  // namespace phalanx
