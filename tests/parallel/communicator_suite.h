#pragma once
// The one suite that every communicator passes. A twin's test file instantiates CommunicatorSuite
// with the ways in which its ranks are started.
//
// The oracle is a serial loop over the ranks' inputs, which are a pure function of (rank, element):
// every rank computes what all others hold.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "parallel/communicator.h"

namespace phalanx {

struct Ranks {
  std::string name;
  /// Calls body(world) on every rank that lives in this process.
  std::function<void(const std::function<void(Communicator&)>&)> run;
  at::Device device = at::kCPU;
  /// Also lengths around the edges of this many bytes are tried: the transport's chunk.
  int64_t chunk_bytes = 1024;
  /// Elements of the largest sum: more than 4 MiB of fp32, but not thousands of tiny chunks.
  int64_t largest_count = 1'100'003;
};

inline void PrintTo(const Ranks& ranks, std::ostream* out) { *out << ranks.name; }

inline std::string name_of_ranks(const testing::TestParamInfo<Ranks>& info) {
  return info.param.name;
}

class CommunicatorSuite : public testing::TestWithParam<Ranks> {};

}  // namespace phalanx
