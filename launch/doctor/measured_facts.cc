#include "launch/doctor/measured_facts.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <string>

#include "data/file.h"
#include "parallel/host_name.h"

namespace phalanx {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kPiece = int64_t{1} << 20;

/// Wall clock, not the steady one, whose zero is another on each host.
int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

/// With its folder if that was made for it, unless others write there.
void clear_away(const fs::path& path, bool folder_was_there) {
  std::error_code ignored;
  fs::remove(path, ignored);
  if (!folder_was_there) fs::remove(path.parent_path(), ignored);
}

}  // namespace

double write_speed(const fs::path& folder, int64_t bytes) {
  const bool was_there = fs::exists(folder);
  make_folders(folder);
  const fs::path path = folder / fmt::format(".doctor-{}-{}", host_name(), getpid());
  // Not zeros, which some file systems do not store.
  std::vector<std::byte> piece(static_cast<size_t>(kPiece));
  uint64_t state = 1;
  for (std::byte& byte : piece) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    byte = static_cast<std::byte>(state >> 56);
  }
  const auto begin = std::chrono::steady_clock::now();
  try {
    File file = File::create(path);
    for (int64_t written = 0; written < bytes; written += kPiece) file.write_all(piece);
    file.sync();
    file.close();
  } catch (...) {  // a full disk
    clear_away(path, was_there);
    throw;
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  clear_away(path, was_there);
  return static_cast<double>(bytes) / seconds.count();
}

std::vector<ClockOffset> clock_offsets(Communicator& control, int rounds) {
  constexpr double kUnknown = std::numeric_limits<double>::infinity();
  std::vector<ClockOffset> offsets(static_cast<size_t>(control.size()), {-kUnknown, kUnknown});
  control.barrier();
  int64_t entered_before = now_ns();
  control.barrier();
  for (int round = 0; round < rounds; ++round) {
    const int64_t entered = now_ns();
    const std::vector<std::string> stamps =
        all_gather_strings(control, fmt::format("{}", now_ns()));
    const int64_t left = now_ns();
    for (size_t rank = 0; rank < stamps.size(); ++rank) {
      const int64_t stamp = std::stoll(stamps[rank]);
      ClockOffset& offset = offsets[rank];
      offset.least = std::max(offset.least, double(stamp - left) * 1e-9);
      offset.most = std::min(offset.most, double(stamp - entered_before) * 1e-9);
    }
    entered_before = entered;
  }
  if (control.rank() != 0) return std::vector<ClockOffset>(offsets.size());
  return offsets;
}

}  // namespace phalanx
