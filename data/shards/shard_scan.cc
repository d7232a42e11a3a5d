#include "data/shards/shard_scan.h"

#include <algorithm>
#include <cstring>

#include "data/file.h"

namespace phalanx {
namespace {

/// `Id` is as wide as a token. The largest is found first: that loop has no branch, and nearly
/// always it is all there is to do.
template <typename Id>
void check_ids(std::span<const std::byte> bytes, int64_t offset, int64_t vocab_size,
               FileScan& result) {
  const auto id_at = [&](size_t i) {
    Id id;
    std::memcpy(&id, bytes.data() + i * sizeof(Id), sizeof(Id));
    return id;
  };
  const size_t count = bytes.size() / sizeof(Id);
  int64_t low = 0, high = -1;
  for (size_t i = 0; i < count; ++i) {
    low = std::min<int64_t>(low, id_at(i));
    high = std::max<int64_t>(high, id_at(i));
  }
  result.max_id = std::max(result.max_id, high);
  if (result.bad_token || (low >= 0 && high < vocab_size)) return;
  size_t i = 0;
  while (id_at(i) >= 0 && id_at(i) < vocab_size) ++i;
  result.bad_token = offset / static_cast<int64_t>(sizeof(Id)) + static_cast<int64_t>(i);
  result.bad_id = id_at(i);
}

}  // namespace

ShardScanner::ShardScanner(TokenType type, int64_t vocab_size,
                           const std::function<void(int64_t bytes)>& progress)
    : type_(type),
      vocab_size_(vocab_size),
      progress_(progress),
      buffer_(static_cast<size_t>(kHashBlockBytes)) {}

FileScan ShardScanner::scan_file(const std::filesystem::path& path) { return scan(path, {}); }

FileScan ShardScanner::scan_tokens(const std::filesystem::path& bin, const BlockVisitor& visit) {
  FileScan ids;
  FileScan result = scan(bin, [&](int64_t offset, std::span<const std::byte> bytes) {
    if (type_ == TokenType::kUint16) {
      check_ids<uint16_t>(bytes, offset, vocab_size_, ids);
    } else {
      check_ids<int32_t>(bytes, offset, vocab_size_, ids);
    }
    if (visit) visit(offset, bytes);
  });
  result.max_id = ids.max_id;
  result.bad_token = ids.bad_token;
  result.bad_id = ids.bad_id;
  return result;
}

FileScan ShardScanner::scan(const std::filesystem::path& path, const BlockVisitor& visit) {
  const File file = File::open_read(path);
  const int64_t size = file.size();
  BlockHasher hasher;
  for (int64_t offset = 0; offset < size; offset += kHashBlockBytes) {
    const auto bytes =
        std::span(buffer_).first(static_cast<size_t>(std::min(kHashBlockBytes, size - offset)));
    file.read_exact(offset, bytes);
    hasher.update(bytes);
    if (visit) visit(offset, bytes);
    bytes_read_ += static_cast<int64_t>(bytes.size());
    if (progress_) progress_(bytes_read_);
  }
  FileScan result;
  result.bytes = size;
  result.xxh3 = hasher.digest();
  result.block_hashes = hasher.block_hashes();
  return result;
}

}  // namespace phalanx
