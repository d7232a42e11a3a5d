#pragma once
// The cores of this host that a process may use. Local; reads /sys only.
#include <filesystem>
#include <string>
#include <vector>

namespace phalanx {

/// Hardware threads this process may run on.
int available_cores();

/// Which these are, as text that is equal for processes that share all of theirs.
std::string core_set();

/// Threads for a process of `cores` cores, one of `all` processes, which say where they run: those
/// that say the same as it does, `mine`, share its cores. 1 at least.
int share_of_cores(int cores, const std::string& mine, const std::vector<std::string>& all);

/// Of those of this process, the cores they lie on: two threads of one core count once, since a
/// second one speeds up no matrix product. `root` stands for / in tests.
int physical_cores(const std::filesystem::path& root = "/");

}  // namespace phalanx
