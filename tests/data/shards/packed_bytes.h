#pragma once
// Packs bytes as gzip and zstd do, for the tests of what reads them. Pure.
#include <zlib.h>
#include <zstd.h>

#include <stdexcept>
#include <string>

namespace phalanx {

/// One member of a .gz file.
inline std::string gzip(const std::string& bytes) {
  constexpr int kGzip = 16;
  z_stream state = {};
  if (deflateInit2(&state, 6, Z_DEFLATED, MAX_WBITS + kGzip, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
    throw std::runtime_error("deflateInit2");
  }
  std::string packed(deflateBound(&state, bytes.size()) + 64, '\0');
  state.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  state.avail_in = static_cast<uInt>(bytes.size());
  state.next_out = reinterpret_cast<Bytef*>(packed.data());
  state.avail_out = static_cast<uInt>(packed.size());
  if (deflate(&state, Z_FINISH) != Z_STREAM_END) throw std::runtime_error("deflate");
  packed.resize(state.total_out);
  deflateEnd(&state);
  return packed;
}

/// One frame of a .zst file.
inline std::string zstd(const std::string& bytes) {
  std::string packed(ZSTD_compressBound(bytes.size()), '\0');
  packed.resize(ZSTD_compress(packed.data(), packed.size(), bytes.data(), bytes.size(), 3));
  return packed;
}

/// A frame of unknown length with a window of 2^window_log bytes.
inline std::string zstd(const std::string& bytes, int window_log) {
  std::string packed(ZSTD_compressBound(bytes.size()) + 64, '\0');
  ZSTD_CCtx* state = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(state, ZSTD_c_windowLog, window_log);
  ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
  ZSTD_outBuffer out{packed.data(), packed.size(), 0};
  ZSTD_compressStream2(state, &out, &in, ZSTD_e_continue);
  if (ZSTD_compressStream2(state, &out, &in, ZSTD_e_end) != 0) throw std::runtime_error("zstd");
  ZSTD_freeCCtx(state);
  packed.resize(out.pos);
  return packed;
}

}  // namespace phalanx
