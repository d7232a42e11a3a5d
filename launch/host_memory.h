#pragma once
// How much memory processes of this host may still take. Local; reads /proc and /sys only. Units
// are bytes. What cannot be read limits nothing.
#include <cstdint>
#include <filesystem>

namespace phalanx {

/// The least of the kernel's MemAvailable and of what each control group around this process leaves
/// (version 2, or the memory controller of version 1), pages of files that can be dropped counted
/// as free. `root` stands for / in tests. INT64_MAX where nothing can be read.
int64_t available_host_memory(const std::filesystem::path& root = "/");

}  // namespace phalanx
