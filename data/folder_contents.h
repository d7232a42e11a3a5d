#pragma once
// What a folder holds: listed, and removed.
//
// In place of std::filesystem's iterator and remove_all(), which end the program where there is no
// memory: a saver has to bear that.
//
// Local; any thread. Errors: std::system_error that names operation and path; std::bad_alloc.
#include <filesystem>
#include <vector>

namespace phalanx {

/// In no order.
[[nodiscard]] std::vector<std::filesystem::path> paths_in(const std::filesystem::path& folder);

/// The path and all below it; nothing is there afterwards. A link is removed, not what it leads to.
void remove_path(const std::filesystem::path& path);

}  // namespace phalanx
