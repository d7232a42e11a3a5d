#include "parallel/rank_place.h"

#include <fmt/format.h>

#include "parallel/host_name.h"

namespace phalanx {

std::string rank_place(int rank, const c10::Device& device) {
  return fmt::format("rank {} ({}, {})", rank, host_name(), device.str());
}

}  // namespace phalanx
