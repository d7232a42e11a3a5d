#include "data/shards/pack_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <stdexcept>
#include <string_view>

#include "data/block_hash.h"
#include "data/shards/run_search.h"

namespace phalanx {
namespace {

// Any constant would do; it must never change, or documents would move between the parts.
constexpr uint64_t kContentSeed = 0x7068616c616e7831;

struct RunHeader {
  std::array<char, 8> magic = {'p', 'h', 'x', 'r', 'u', 'n', '0', '1'};
  uint64_t num_entries = 0;
  uint64_t num_ids = 0;
  uint64_t id_bytes = 0;
};
static_assert(sizeof(RunHeader) == 32);

/// Calls visit(buffer, entry) for all entries of sorted buffers in one order.
template <typename Visit>
void merge_buffers(std::span<const RunBuffer* const> buffers, const Visit& visit) {
  std::vector<size_t> next(buffers.size(), 0);
  while (true) {
    const RunEntry* first = nullptr;
    size_t from = 0;
    for (size_t i = 0; i < buffers.size(); ++i) {
      if (next[i] == buffers[i]->entries().size()) continue;
      const RunEntry& entry = buffers[i]->entries()[next[i]];
      if (first != nullptr && first->order < entry.order) continue;
      first = &entry;
      from = i;
    }
    if (first == nullptr) return;
    ++next[from];
    visit(*buffers[from], *first);
  }
}

}  // namespace

OrderKey order_key(uint64_t file, int64_t line, uint64_t seed) {
  const std::array<uint64_t, 2> place = {file, static_cast<uint64_t>(line)};
  return {xxh3(std::as_bytes(std::span(place)), seed), file, line};
}

uint64_t document_content_hash(std::string_view text) { return xxh3(text, kContentSeed); }

bool falls_to_validation(uint64_t content_hash, int64_t per_mille) {
  return content_hash % 1000 < static_cast<uint64_t>(per_mille);
}

// Reserved address space costs nothing until it is filled, and growing would copy.
RunBuffer::RunBuffer(TokenType type, int64_t capacity_bytes)
    : type_(type), capacity_bytes_(capacity_bytes) {
  entries_.reserve(static_cast<size_t>(capacity_bytes) / sizeof(RunEntry));
  ids_.reserve(static_cast<size_t>(capacity_bytes));
}

bool RunBuffer::is_full_for(size_t num_ids) const {
  const size_t bytes = sizeof(RunEntry) * (entries_.size() + 1) + ids_.size() +
                       num_ids * static_cast<size_t>(token_bytes(type_));
  return !entries_.empty() && bytes > static_cast<size_t>(capacity_bytes_);
}

void RunBuffer::add(RunEntry entry, std::span<const int32_t> ids) {
  const auto width = static_cast<size_t>(token_bytes(type_));
  entry.first_id = static_cast<int64_t>(ids_.size() / width);
  entry.num_ids = static_cast<int64_t>(ids.size());
  const size_t old = ids_.size();
  ids_.resize(old + ids.size() * width);
  if (type_ == TokenType::kInt32) {
    std::memcpy(ids_.data() + old, ids.data(), ids.size_bytes());
  } else {
    for (size_t i = 0; i < ids.size(); ++i) {
      const auto id = static_cast<uint16_t>(ids[i]);
      std::memcpy(ids_.data() + old + 2 * i, &id, 2);
    }
  }
  entries_.push_back(entry);
}

void RunBuffer::sort() {
  std::sort(entries_.begin(), entries_.end(),
            [](const RunEntry& a, const RunEntry& b) { return a.order < b.order; });
}

void RunBuffer::clear() {
  entries_.clear();
  ids_.clear();
}

std::span<const std::byte> RunBuffer::ids_of(const RunEntry& entry) const {
  const auto width = static_cast<size_t>(token_bytes(type_));
  return std::span(ids_).subspan(static_cast<size_t>(entry.first_id) * width,
                                 static_cast<size_t>(entry.num_ids) * width);
}

WrittenFile write_run(const std::filesystem::path& path,
                      std::span<const RunBuffer* const> buffers) {
  RunHeader header;
  header.id_bytes = static_cast<uint64_t>(token_bytes(buffers.front()->token_type()));
  for (const RunBuffer* buffer : buffers) {
    header.num_entries += buffer->entries().size();
    for (const RunEntry& entry : buffer->entries()) {
      header.num_ids += static_cast<uint64_t>(entry.num_ids);
    }
  }
  DurableWriter writer(path);
  writer.write(std::as_bytes(std::span(&header, 1)));
  int64_t first_id = 0;
  merge_buffers(buffers, [&](const RunBuffer&, RunEntry entry) {
    entry.first_id = first_id;
    first_id += entry.num_ids;
    writer.write(std::as_bytes(std::span(&entry, 1)));
  });
  merge_buffers(buffers, [&](const RunBuffer& buffer, const RunEntry& entry) {
    writer.write(buffer.ids_of(entry));
  });
  return writer.finish();
}

RunFile::RunFile(const std::filesystem::path& path, int64_t expected_bytes, bool keep_open)
    : path_(path), file_(File::open_read(path)) {
  const int64_t size = file_->size();
  RunHeader header;
  const RunHeader expected;
  if (size == expected_bytes && size >= static_cast<int64_t>(sizeof header)) {
    read(0, std::as_writable_bytes(std::span(&header, 1)));
  }
  type_ = header.id_bytes == 2 ? TokenType::kUint16 : TokenType::kInt32;
  // Compared before they are multiplied: neither count can be more than the file's bytes.
  const auto limit = static_cast<uint64_t>(size);
  num_entries_ = static_cast<int64_t>(header.num_entries);
  num_ids_ = static_cast<int64_t>(header.num_ids);
  if (header.magic != expected.magic || header.num_entries > limit || header.num_ids > limit ||
      header.id_bytes != static_cast<uint64_t>(token_bytes(type_)) ||
      id_at(num_ids_) != expected_bytes) {
    throw std::invalid_argument(
        fmt::format("{}: expected a sorted run of {} bytes, found {} bytes that are not one: "
                    "remove the unfinished folder and pack again",
                    path.string(), expected_bytes, size));
  }
  if (!keep_open) file_.reset();
}

int64_t RunFile::entry_at(int64_t entry) const {
  return static_cast<int64_t>(sizeof(RunHeader)) + entry * static_cast<int64_t>(sizeof(RunEntry));
}

int64_t RunFile::id_at(int64_t id) const {
  return entry_at(num_entries_) + id * token_bytes(type_);
}

void RunFile::read(int64_t offset, std::span<std::byte> bytes) const {
  if (file_) {
    file_->read_exact(offset, bytes);
  } else {
    File::open_read(path_).read_exact(offset, bytes);
  }
}

int64_t RunFile::lower_bound(const OrderKey& order) const {
  return count_before(order, num_entries_, [&](int64_t first, std::span<RunEntry> entries) {
    read(entry_at(first), std::as_writable_bytes(entries));
  });
}

}  // namespace phalanx
