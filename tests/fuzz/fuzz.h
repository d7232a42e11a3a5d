#pragma once
// What all fuzz targets share. A reader may refuse its input with std::invalid_argument, led by the
// name it was given; anything else that leaves it, and every property that does not hold, ends the
// program, which libFuzzer keeps the input of. Local; one thread.
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace phalanx::fuzz {

inline void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", what);
  std::abort();
}

/// What `read` returns, or nothing where it refuses the input.
template <typename Read>
auto accepted(const std::string& name, Read&& read) -> std::optional<decltype(read())> {
  try {
    return read();
  } catch (const std::invalid_argument& error) {
    require(std::string_view(error.what()).starts_with(name), "a refusal names the file first");
    return std::nullopt;
  }
}

inline std::string_view text_of(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

/// A folder of this process in memory, for readers that take a path.
inline const std::filesystem::path& folder() {
  static const std::filesystem::path path = [] {
    const bool in_memory = ::access("/dev/shm", W_OK) == 0;
    std::string pattern = std::string(in_memory ? "/dev/shm" : "/tmp") + "/phalanx-fuzz-XXXXXX";
    require(::mkdtemp(pattern.data()) != nullptr, "a folder can be made");
    std::atexit([] { std::filesystem::remove_all(folder()); });
    return std::filesystem::path(pattern);
  }();
  return path;
}

inline void spill(const std::filesystem::path& path, std::string_view text) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(text.data(), static_cast<std::streamsize>(text.size()));
  require(file.good(), "a file can be written");
}

}  // namespace phalanx::fuzz
