#pragma once
// How often a run was started before, from its metrics.jsonl. Local; one rank. Nothing in that file
// is an error: a killed process may leave a torn line, and people write into it.
#include <cstdint>
#include <filesystem>

namespace phalanx {

/// One more than the attempt of the last whole line that has one; 0 without a file.
[[nodiscard]] int64_t next_attempt(const std::filesystem::path& metrics);

}  // namespace phalanx
