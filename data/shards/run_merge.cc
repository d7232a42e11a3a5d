#include "data/shards/run_merge.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace phalanx {
namespace {

/// Of a run's buffer, what its entries get when ids are read too; documents have more ids than that
/// many bytes of entry, mostly.
constexpr int64_t kEntryPart = 4;

}  // namespace

RunReader::RunReader(const RunFile& file, int64_t begin, int64_t end, int64_t buffer_bytes)
    : file_(&file), offset_(begin), end_(end), buffer_bytes_(static_cast<size_t>(buffer_bytes)) {}

void RunReader::read(std::span<std::byte> bytes) {
  if (static_cast<int64_t>(bytes.size()) > end_ - offset_) {
    throw std::logic_error("a run has fewer ids than its entries say");
  }
  while (!bytes.empty()) {
    if (used_ == buffer_.size()) {
      if (bytes.size() >= buffer_bytes_) {
        file_->read(offset_, bytes);
        offset_ += static_cast<int64_t>(bytes.size());
        return;
      }
      fill();
    }
    const size_t n = std::min(bytes.size(), buffer_.size() - used_);
    std::memcpy(bytes.data(), buffer_.data() + used_, n);
    used_ += n;
    offset_ += static_cast<int64_t>(n);
    bytes = bytes.subspan(n);
  }
}

void RunReader::fill() {
  buffer_.resize(std::min(buffer_bytes_, static_cast<size_t>(end_ - offset_)));
  file_->read(offset_, buffer_);
  used_ = 0;
}

void RunReader::seek(int64_t offset) {
  const auto distance = static_cast<size_t>(offset - offset_);
  used_ = std::min(buffer_.size(), used_ + distance);
  offset_ = offset;
}

RunMerge::RunMerge(std::span<const RunFile> runs, const OrderRange& range, int64_t buffer_bytes,
                   bool with_ids) {
  const int64_t entry_bytes = with_ids ? buffer_bytes / kEntryPart : buffer_bytes;
  for (const RunFile& run : runs) {
    const int64_t begin = run.lower_bound(range.begin);
    const int64_t end = range.end ? run.lower_bound(*range.end) : run.num_entries();
    if (begin == end) continue;
    cursors_.push_back(
        {&run,
         RunReader(run, run.entry_at(begin), run.entry_at(end), entry_bytes),
         RunReader(run, run.id_at(0), run.id_at(run.num_ids()), buffer_bytes - entry_bytes),
         {}});
    advance(cursors_.back());
    heap_.push_back(heap_.size());
  }
  for (size_t i = heap_.size() / 2; i-- > 0;) sift_down(i);
}

bool RunMerge::advance(Cursor& cursor) {
  if (cursor.entries.at_end()) return false;
  cursor.entries.read(std::as_writable_bytes(std::span(&cursor.entry, 1)));
  return true;
}

void RunMerge::sift_down(size_t place) {
  const auto before = [this](size_t a, size_t b) {
    return cursors_[heap_[a]].entry.order < cursors_[heap_[b]].entry.order;
  };
  while (true) {
    size_t first = place;
    for (const size_t child : {2 * place + 1, 2 * place + 2}) {
      if (child < heap_.size() && before(child, first)) first = child;
    }
    if (first == place) return;
    std::swap(heap_[place], heap_[first]);
    place = first;
  }
}

const RunEntry* RunMerge::next() {
  if (given_) {
    if (!advance(cursors_[heap_.front()])) {
      heap_.front() = heap_.back();
      heap_.pop_back();
    }
    sift_down(0);
  }
  given_ = !heap_.empty();
  return given_ ? &cursors_[heap_.front()].entry : nullptr;
}

void RunMerge::read_ids(std::vector<int32_t>& ids) {
  Cursor& cursor = cursors_[heap_.front()];
  ids.resize(static_cast<size_t>(cursor.entry.num_ids));
  cursor.ids.seek(cursor.file->id_at(cursor.entry.first_id));
  if (cursor.file->token_type() == TokenType::kInt32) {
    cursor.ids.read(std::as_writable_bytes(std::span(ids)));
    return;
  }
  narrow_.resize(2 * ids.size());
  cursor.ids.read(narrow_);
  for (size_t i = 0; i < ids.size(); ++i) {
    uint16_t id;
    std::memcpy(&id, narrow_.data() + 2 * i, 2);
    ids[i] = id;
  }
}

}  // namespace phalanx
