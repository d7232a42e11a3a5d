#pragma once
// Where a rank computes, for messages that send people to a machine. Local.
#include <c10/core/Device.h>

#include <string>

namespace phalanx {

/// The name of this host, or what there is of it: 255 characters at most.
std::string host_name();

/// This rank: "rank 3 (node4, cuda:1)".
std::string rank_place(int rank, const c10::Device& device);

}  // namespace phalanx
