#pragma once
// One run of tokens of one key-value head with all its query heads: a thread's work in
// flash_attention.h. Defined by flash_block_impl.h in a file an instruction set.
#include <cstdint>

namespace phalanx::kernels {

/// Queries and keys of a block: whole tiles of every instruction set; a block of scores (12 KiB)
/// stays in the first cache.
inline constexpr int64_t kQueries = 48, kKeys = 64;

/// Rows are tokens; pointers are at the run's first one. fp32, or bf16 as its 16 bits.
struct FlashRun {
  bool bf16 = false;
  int64_t length = 0, head_dim = 0;
  int64_t num_query_heads = 0;  // of this key-value head, side by side
  int64_t window = 0;           // > 0: keys that a query sees, itself included
  float scale = 1.0f;
  int64_t row_stride = 0;    // of q, k, v and their gradients
  int64_t o_row_stride = 0;  // of o and do
  const void *q = nullptr, *k = nullptr, *v = nullptr;
  void* o = nullptr;           // in the backward: read
  float* logsumexp = nullptr;  // in the backward: read
  int64_t logsumexp_head_stride = 0;
  const void* d_o = nullptr;
  void *dq = nullptr, *dk = nullptr, *dv = nullptr;
};

/// Rows that a packed run may take: whole blocks of keys, and of queries whole tiles of rows, which
/// need not divide a block; no tile has more.
inline constexpr int64_t kMostTileRows = 16;
inline int64_t packed_rows(int64_t length) {
  return (length + kKeys - 1) / kKeys * kKeys + kMostTileRows;
}
/// Floats of workspace for runs up to this length.
int64_t flash_forward_floats(int64_t length, int64_t head_dim);
int64_t flash_backward_floats(int64_t length, int64_t head_dim);

void flash_forward_avx2(const FlashRun& run, float* workspace);
void flash_forward_avx512(const FlashRun& run, float* workspace);
void flash_backward_avx2(const FlashRun& run, float* workspace);
void flash_backward_avx512(const FlashRun& run, float* workspace);
/// bf16 runs only; probabilities and their gradients are rounded to bf16 before they are
/// multiplied.
void flash_forward_avx512_bf16(const FlashRun& run, float* workspace);
void flash_backward_avx512_bf16(const FlashRun& run, float* workspace);

}  // namespace phalanx::kernels
