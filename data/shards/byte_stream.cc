#include "data/shards/byte_stream.h"

#include <fmt/format.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "data/file.h"
#include "data/shards/file_kind.h"

namespace phalanx {
namespace {

constexpr int kMaxWindowLog = 31;  // what zstd --long=31 makes; the library stops at 27 by itself
constexpr size_t kPackedBufferBytes = size_t{64} << 10;

class PlainStream final : public ByteStream {
 public:
  explicit PlainStream(const std::filesystem::path& path)
      : file_(File::open_read(path)), size_(file_.size()) {}

  size_t read(std::span<char> bytes) override {
    const auto n = std::min(bytes.size(), static_cast<size_t>(size_ - offset_));
    file_.read_exact(offset_, std::as_writable_bytes(bytes.first(n)));
    offset_ += static_cast<int64_t>(n);
    return n;
  }

  const std::filesystem::path& path() const { return file_.path(); }

 private:
  File file_;
  int64_t size_;
  int64_t offset_ = 0;
};

/// What both formats share: a buffer of packed bytes, and the loop that fills the caller's.
class PackedStream : public ByteStream {
 public:
  explicit PackedStream(const std::filesystem::path& path)
      : input_(path), buffer_(kPackedBufferBytes) {}

  size_t read(std::span<char> bytes) final {
    size_t filled = 0;
    while (filled < bytes.size()) {
      if (pending_.empty()) pending_ = std::span(buffer_).first(input_.read(buffer_));
      if (pending_.empty() && between_pieces_) break;
      const size_t packed = pending_.size();
      const size_t got = unpack(bytes.subspan(filled));
      if (packed == 0 && got == 0 && !between_pieces_) refuse("the end of the file in the middle");
      filled += got;
    }
    return filled;
  }

 protected:
  /// Unpacks from pending() and returns the bytes written.
  virtual size_t unpack(std::span<char> bytes) = 0;

  std::span<char> pending() const { return pending_; }
  void consume(size_t bytes) { pending_ = pending_.subspan(bytes); }
  /// A member or frame is whole; the file may end here or another may begin.
  void set_between_pieces(bool between) { between_pieces_ = between; }
  bool between_pieces() const { return between_pieces_; }

  [[noreturn]] void refuse(std::string_view found) const {
    throw std::invalid_argument(fmt::format("{}: expected whole {} data, found {}",
                                            input_.path().string(),
                                            input_.path().extension().string(), found));
  }

 private:
  PlainStream input_;
  std::vector<char> buffer_;
  std::span<char> pending_;
  bool between_pieces_ = false;  // so that an empty file is refused too
};

class GzipStream final : public PackedStream {
 public:
  explicit GzipStream(const std::filesystem::path& path) : PackedStream(path) {
    constexpr int kOnlyGzip = 16;
    if (inflateInit2(&state_, MAX_WBITS + kOnlyGzip) != Z_OK) throw std::bad_alloc();
  }
  ~GzipStream() override { inflateEnd(&state_); }
  GzipStream(const GzipStream&) = delete;
  GzipStream& operator=(const GzipStream&) = delete;

 protected:
  size_t unpack(std::span<char> bytes) override {
    if (between_pieces()) inflateReset(&state_);
    set_between_pieces(false);
    const size_t room = std::min(bytes.size(), size_t{1} << 30);
    state_.next_in = reinterpret_cast<Bytef*>(pending().data());
    state_.avail_in = static_cast<uInt>(pending().size());
    state_.next_out = reinterpret_cast<Bytef*>(bytes.data());
    state_.avail_out = static_cast<uInt>(room);
    const int status = inflate(&state_, Z_NO_FLUSH);
    if (status == Z_STREAM_END) {
      set_between_pieces(true);
    } else if (status != Z_OK && status != Z_BUF_ERROR) {
      refuse(state_.msg != nullptr ? state_.msg : "damaged data");
    }
    consume(pending().size() - state_.avail_in);
    return room - state_.avail_out;
  }

 private:
  z_stream state_ = {};
};

class ZstdStream final : public PackedStream {
 public:
  explicit ZstdStream(const std::filesystem::path& path) : PackedStream(path) {
    if (!state_) throw std::bad_alloc();
    ZSTD_DCtx_setParameter(state_.get(), ZSTD_d_windowLogMax, kMaxWindowLog);
  }

 protected:
  size_t unpack(std::span<char> bytes) override {
    ZSTD_outBuffer out{bytes.data(), bytes.size(), 0};
    ZSTD_inBuffer in{pending().data(), pending().size(), 0};
    const size_t status = ZSTD_decompressStream(state_.get(), &out, &in);
    if (ZSTD_isError(status) != 0) refuse(ZSTD_getErrorName(status));
    set_between_pieces(status == 0);
    consume(in.pos);
    return out.pos;
  }

 private:
  struct Free {
    void operator()(ZSTD_DCtx* state) const { ZSTD_freeDCtx(state); }
  };
  std::unique_ptr<ZSTD_DCtx, Free> state_{ZSTD_createDCtx()};
};

}  // namespace

std::unique_ptr<ByteStream> open_byte_stream(const std::filesystem::path& path) {
  switch (packing_of(path)) {
    case Packing::kGzip:
      return std::make_unique<GzipStream>(path);
    case Packing::kZstd:
      return std::make_unique<ZstdStream>(path);
    case Packing::kNone:
      break;
  }
  return std::make_unique<PlainStream>(path);
}

}  // namespace phalanx
