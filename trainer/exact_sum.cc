#include "trainer/exact_sum.h"

#include <cmath>
#include <limits>

namespace phalanx {
namespace {

constexpr int kDigitBits = 32;
constexpr int kLowestBit = -1152;  // a multiple of 32, below the last bit of the smallest value
constexpr int kMantissaBits = 53;
constexpr int64_t kDigitMask = (int64_t{1} << kDigitBits) - 1;
/// A word takes so many digits before it can overflow.
constexpr int64_t kMaxAdditions = int64_t{1} << 30;

/// All digits but the highest come to lie in [0, 2^32); the highest has the sign.
void settle(ExactSum::Words& words) {
  int64_t carry = 0;
  for (size_t i = 0; i < ExactSum::kNumDigits; ++i) {
    const int64_t sum = words[i] + carry;
    if (i + 1 == ExactSum::kNumDigits) {
      words[i] = sum;
    } else {
      words[i] = sum & kDigitMask;
      carry = sum >> kDigitBits;  // rounds down
    }
  }
}

}  // namespace

void ExactSum::add(double value) {
  if (!std::isfinite(value)) {
    ++words_.back();
    return;
  }
  if (value == 0.0) return;
  int exponent = 0;
  const double fraction = std::frexp(std::abs(value), &exponent);
  const auto mantissa = static_cast<uint64_t>(std::ldexp(fraction, kMantissaBits));
  const int place = exponent - kMantissaBits - kLowestBit;  // of the mantissa's last bit
  const auto digit = static_cast<size_t>(place / kDigitBits);
  const auto shifted = static_cast<unsigned __int128>(mantissa) << (place % kDigitBits);
  const int64_t sign = value < 0 ? -1 : 1;
  for (size_t i = 0; i < 3; ++i) {
    const auto part = static_cast<int64_t>(shifted >> (kDigitBits * i)) & kDigitMask;
    words_[digit + i] += sign * part;
  }
  if (++additions_ == kMaxAdditions) (void)settled();
}

const ExactSum::Words& ExactSum::settled() {
  settle(words_);
  additions_ = 0;
  return words_;
}

double ExactSum::value_of(Words words) {
  if (words.back() != 0) return std::numeric_limits<double>::quiet_NaN();
  settle(words);
  const bool negative = words[kNumDigits - 1] < 0;
  if (negative) {
    for (size_t i = 0; i < kNumDigits; ++i) words[i] = -words[i];
    settle(words);
  }
  double value = 0.0;
  for (size_t i = kNumDigits; i-- > 0;) {
    value +=
        std::ldexp(static_cast<double>(words[i]), kLowestBit + kDigitBits * static_cast<int>(i));
  }
  return negative ? -value : value;
}

}  // namespace phalanx
