#pragma once
// How long the documents of a data set are, gathered one at a time.
//
// Local, pure; one owner. Memory is fixed (some 700 KB). Lengths are tokens, from 0. Minimum, mean,
// maximum and counts are exact; a quantile is exact below 65,536 and at most 0.1 % low above.
#include <cstdint>
#include <vector>

namespace phalanx {

class LengthStatistics {
 public:
  /// The documents with low <= length <= high.
  struct Bar {
    int64_t low = 0, high = 0, count = 0;
  };

  LengthStatistics();

  void add(int64_t length);

  int64_t count() const { return count_; }
  int64_t empty() const { return counts_[0]; }
  int64_t sum() const { return sum_; }
  /// 0 where nothing was added, as are those below.
  int64_t min() const { return min_; }
  int64_t max() const { return max_; }
  double mean() const;

  /// The smallest length that `per_mille` of 1000 documents do not exceed.
  [[nodiscard]] int64_t quantile(int per_mille) const;

  /// 0, then 1, 2-3, 4-7, 8-15, ...; from the first to the last that hold a document.
  [[nodiscard]] std::vector<Bar> histogram() const;

 private:
  std::vector<int64_t> counts_;
  int64_t count_ = 0, sum_ = 0, min_ = 0, max_ = 0;
};

}  // namespace phalanx
