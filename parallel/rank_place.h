#pragma once
// Where a rank computes, for messages that send people to a machine. Local.
#include <c10/core/Device.h>

#include <string>

namespace phalanx {

/// This rank: "rank 3 (node4, cuda:1)".
std::string rank_place(int rank, const c10::Device& device);

}  // namespace phalanx
