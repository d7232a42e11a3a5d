#pragma once
// The documents of many sorted runs in one order: a k-way merge with a buffer for each run.
//
// Local. One owner; the RunFiles may be shared with other merges and must outlive it. Memory:
// `buffer_bytes` for each run that has entries in the range. Errors: as RunFile's.
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "data/shards/pack_run.h"

namespace phalanx {

/// A range of the shuffled order: from `begin` to before `end`, or to the end of all.
struct OrderRange {
  OrderKey begin;
  std::optional<OrderKey> end;
};

/// Reads a stretch of a run from front to back through a buffer.
class RunReader {
 public:
  RunReader(const RunFile& file, int64_t begin, int64_t end, int64_t buffer_bytes);

  bool at_end() const { return offset_ == end_; }
  void read(std::span<std::byte> bytes);
  /// Forward to a byte position of the file.
  void seek(int64_t offset);

 private:
  void fill();

  const RunFile* file_;
  int64_t offset_;  // of the next byte to give
  int64_t end_;
  size_t buffer_bytes_;
  std::vector<std::byte> buffer_;
  size_t used_ = 0;  // bytes of buffer_ already given
};

class RunMerge {
 public:
  /// `with_ids` false leaves all of the buffers to the entries; read_ids() must not be called.
  RunMerge(std::span<const RunFile> runs, const OrderRange& range, int64_t buffer_bytes,
           bool with_ids);

  /// The next document, or null after the last. It lives until the next call.
  [[nodiscard]] const RunEntry* next();
  /// The ids of the document that next() gave.
  void read_ids(std::vector<int32_t>& ids);

 private:
  struct Cursor {
    const RunFile* file;
    RunReader entries, ids;
    RunEntry entry;
  };
  bool advance(Cursor& cursor);
  void sift_down(size_t place);

  std::vector<Cursor> cursors_;
  std::vector<size_t> heap_;  // of cursors by their entry, the first in order on top
  std::vector<std::byte> narrow_;
  bool given_ = false;  // the top's entry was handed out
};

}  // namespace phalanx
