#include "data/shards/length_statistics.h"

#include <algorithm>
#include <bit>
#include <stdexcept>
#include <string>

namespace phalanx {
namespace {

// One counter for each length below 2^16, then 1024 for each power of two up to 2^41.
constexpr int kExactBits = 16, kPartBits = 10, kMaxBits = 41;
constexpr int64_t kExact = int64_t{1} << kExactBits;

int bits_of(int64_t length) { return std::bit_width(static_cast<uint64_t>(length)); }

size_t slot_of(int64_t length) {
  if (length < kExact) return static_cast<size_t>(length);
  const int power = bits_of(length) - 1;
  const int64_t part = (length >> (power - kPartBits)) - (int64_t{1} << kPartBits);
  return static_cast<size_t>(kExact + (int64_t{power - kExactBits} << kPartBits) + part);
}

/// The smallest length of a slot.
int64_t low_of(size_t slot) {
  const auto above = static_cast<int64_t>(slot) - kExact;
  if (above < 0) return static_cast<int64_t>(slot);
  const int64_t power = kExactBits + (above >> kPartBits);
  const int64_t part = above & ((int64_t{1} << kPartBits) - 1);
  return (part + (int64_t{1} << kPartBits)) << (power - kPartBits);
}

}  // namespace

LengthStatistics::LengthStatistics()
    : counts_(static_cast<size_t>(kExact + (int64_t{kMaxBits - kExactBits} << kPartBits))) {}

void LengthStatistics::add(int64_t length) {
  if (length < 0 || bits_of(length) > kMaxBits) {
    throw std::logic_error("a document of " + std::to_string(length) + " tokens");
  }
  ++counts_[slot_of(length)];
  min_ = count_ == 0 ? length : std::min(min_, length);
  max_ = std::max(max_, length);
  ++count_;
  sum_ += length;
}

double LengthStatistics::mean() const {
  return count_ == 0 ? 0 : static_cast<double>(sum_) / static_cast<double>(count_);
}

int64_t LengthStatistics::quantile(int per_mille) const {
  // Counts are below 2^53, so the product fits.
  const int64_t wanted = std::max<int64_t>(1, (count_ * per_mille + 999) / 1000);
  int64_t seen = 0;
  for (size_t slot = 0; slot < counts_.size() && count_ > 0; ++slot) {
    seen += counts_[slot];
    if (seen >= wanted) return std::clamp(low_of(slot), min_, max_);
  }
  return 0;
}

std::vector<LengthStatistics::Bar> LengthStatistics::histogram() const {
  std::vector<Bar> bars;
  for (size_t slot = 0; slot < counts_.size(); ++slot) {
    const int bits = bits_of(low_of(slot));
    const int64_t low = bits == 0 ? 0 : int64_t{1} << (bits - 1);
    if (bars.empty() || bars.back().low != low)
      bars.push_back({low, std::max<int64_t>(2 * low, 1) - 1, 0});
    bars.back().count += counts_[slot];
  }
  while (!bars.empty() && bars.back().count == 0) bars.pop_back();
  const auto first =
      std::find_if(bars.begin(), bars.end(), [](const Bar& b) { return b.count > 0; });
  bars.erase(bars.begin(), first);
  return bars;
}

}  // namespace phalanx
