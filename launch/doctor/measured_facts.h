#pragma once
// What takes a moment to find out: how fast the run's folder takes bytes, and how far the clocks of
// the ranks are apart.
#include <cstdint>
#include <filesystem>
#include <vector>

#include "parallel/communicator.h"

namespace phalanx {

/// Bytes a second of writing `bytes` to a file of its own in `folder` and of making them last
/// (fsync). The file is removed, and the folder if it was made for it. Local. Errors:
/// std::system_error.
double write_speed(const std::filesystem::path& folder, int64_t bytes);

/// What is known of a rank's clock: its offset to that of rank 0 lies between the two, in seconds.
struct ClockOffset {
  double least = 0, most = 0;
};

/// Of all ranks, on rank 0; elsewhere zeros. Every rank gathers stamps of all for `rounds` rounds.
/// A stamp of round k was taken after rank 0 had entered round k - 1 and before it left round k, so
/// that each round bounds the offset. Collective over `control`.
std::vector<ClockOffset> clock_offsets(Communicator& control, int rounds);

}  // namespace phalanx
