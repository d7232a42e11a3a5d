#pragma once
// The bytes of a file from its beginning to its end, unpacked on the way when its name says so
// (packing_of): gzip of one or more members, zstd of one or more frames.
//
// Local. One owner. Memory: some 100 KiB, and for zstd the window of the frame (at most 2 GiB; 8
// MiB unless it was packed with --long or --ultra). Errors: std::system_error (machine);
// std::invalid_argument with the path for packed data that is damaged or ends in the middle.
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

}  // namespace phalanx
