#pragma once
// A folder that is made as a whole or not at all (data/file.h): what fails leaves nothing behind
// under the name, nor in the staging folder.
//
// Local; one rank. Errors: std::invalid_argument when something has the name, or that of the
// staging folder, already, or when it would lie inside a checkpoint; those of `write`.
#include <cstdint>
#include <filesystem>
#include <functional>

namespace phalanx {

/// Calls write(staging) and gives what it wrote there the name `target`. Every file must be
/// finished by then.
void write_new_folder(const std::filesystem::path& target,
                      const std::function<void(const std::filesystem::path& staging)>& write);

/// Bytes done, of so many; called every few megabytes.
using ByteProgress = std::function<void(int64_t done, int64_t total)>;

}  // namespace phalanx
