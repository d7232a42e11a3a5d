#pragma once
// The bytes of a file from its beginning to its end, unpacked on the way when its name ends in .gz
// (one or more members) or .zst (one or more frames).
//
// Local. One owner. Memory: some 100 KiB, and for .zst the window of the frame (at most 128 MiB).
// Errors: std::system_error (machine); std::invalid_argument with the path for packed data that is
// damaged or ends in the middle.
#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>

namespace phalanx {

class ByteStream {
 public:
  virtual ~ByteStream() = default;
  /// Fills `bytes` from the front and returns how many it filled: fewer only at the end.
  [[nodiscard]] virtual size_t read(std::span<char> bytes) = 0;
};

[[nodiscard]] std::unique_ptr<ByteStream> open_byte_stream(const std::filesystem::path& path);

/// True for names that end in .gz or .zst.
[[nodiscard]] bool is_packed(const std::filesystem::path& path);

}  // namespace phalanx
