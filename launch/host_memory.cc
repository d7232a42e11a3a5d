#include "launch/host_memory.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>
#include <string>

namespace phalanx {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kNoLimit = std::numeric_limits<int64_t>::max();

/// The number behind `key` (or the file's first, without one); nullopt: none, or `max`.
std::optional<int64_t> number_in(const fs::path& path, const std::string& key = "") {
  std::ifstream file(path);
  std::string word;
  while (!key.empty() && word != key) {
    if (!(file >> word)) return std::nullopt;
  }
  int64_t value = 0;
  return file >> value ? std::optional(value) : std::nullopt;
}

/// How the versions of control groups name the same things.
struct Files {
  const char *limit, *usage, *droppable;
};
constexpr Files kVersion2 = {"memory.max", "memory.current", "inactive_file"};
constexpr Files kVersion1 = {"memory.limit_in_bytes", "memory.usage_in_bytes",
                             "total_inactive_file"};

/// Of a group and of those above it, up to `mount`. Inside a container the group's path may be the
/// host's, so folders that are not there are passed over.
int64_t left_in_groups(const fs::path& mount, const std::string& group, const Files& files) {
  int64_t least = kNoLimit;
  for (fs::path folder = fs::path(group).relative_path();; folder = folder.parent_path()) {
    const auto limit = number_in(mount / folder / files.limit);
    const auto usage = number_in(mount / folder / files.usage);
    if (limit && usage) {
      const int64_t droppable =
          number_in(mount / folder / "memory.stat", files.droppable).value_or(0);
      least =
          std::min(least, std::max<int64_t>(0, *limit - (*usage - std::min(*usage, droppable))));
    }
    if (folder.empty()) return least;
  }
}

}  // namespace

int64_t available_host_memory(const fs::path& root) {
  int64_t least = kNoLimit;
  if (const auto kibibytes = number_in(root / "proc/meminfo", "MemAvailable:")) {
    least = *kibibytes * 1024;
  }
  std::ifstream groups(root / "proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {  // hierarchy:controllers:path
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const std::string group = line.substr(second + 1);
    const fs::path mount = root / "sys/fs/cgroup";
    if (controllers == ",,") {
      least = std::min(least, left_in_groups(mount, group, kVersion2));
    } else if (controllers.find(",memory,") != std::string::npos) {
      least = std::min(least, left_in_groups(mount / "memory", group, kVersion1));
    }
  }
  return least;
}

}  // namespace phalanx
