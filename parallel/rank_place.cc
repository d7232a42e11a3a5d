#include "parallel/rank_place.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>

namespace phalanx {

std::string host_name() {
  std::array<char, 256> name{};
  gethostname(name.data(), name.size() - 1);
  return name.data();
}

std::string rank_place(int rank, const c10::Device& device) {
  return fmt::format("rank {} ({}, {})", rank, host_name(), device.str());
}

}  // namespace phalanx
