#include "data/shards/shard_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <stdexcept>

#include "data/shards/shard_layout.h"

namespace phalanx {
namespace {

template <typename T>
void write_value(DurableWriter& writer, const T& value) {
  writer.write(std::as_bytes(std::span(&value, 1)));
}

std::filesystem::path with_suffix(const std::filesystem::path& prefix, const char* suffix) {
  return prefix.string() + suffix;
}

}  // namespace

ShardWriter::ShardWriter(const std::filesystem::path& prefix, TokenType type)
    : prefix_(prefix), type_(type), bin_(with_suffix(prefix, ".bin.tmp")) {}

void ShardWriter::add_document(std::span<const int32_t> tokens) {
  constexpr int64_t kMaxLength = std::numeric_limits<int32_t>::max();
  if (tokens.empty() || static_cast<int64_t>(tokens.size()) > kMaxLength) {
    throw std::logic_error(fmt::format("{}: document {} has {} tokens, expected 1 to {}",
                                       prefix_.string(), num_documents(), tokens.size(),
                                       kMaxLength));
  }
  const int32_t max_id = type_ == TokenType::kUint16 ? std::numeric_limits<uint16_t>::max()
                                                     : std::numeric_limits<int32_t>::max();
  for (const int32_t id : tokens) {
    if (id < 0 || id > max_id) {
      throw std::logic_error(fmt::format("{}: document {}: token id {} does not fit {}",
                                         prefix_.string(), num_documents(), id,
                                         token_type_name(type_)));
    }
  }
  if (type_ == TokenType::kUint16) {
    narrow_.assign(tokens.begin(), tokens.end());
    bin_.write(std::as_bytes(std::span(narrow_)));
  } else {
    bin_.write(std::as_bytes(tokens));
  }
  lengths_.push_back(static_cast<int32_t>(tokens.size()));
  num_tokens_ += static_cast<int64_t>(tokens.size());
}

WrittenFile ShardWriter::write_index(const std::filesystem::path& path) const {
  DurableWriter idx(path);
  write_value(idx, kIndexMagic);
  write_value(idx, kIndexVersion);
  write_value(idx, static_cast<uint8_t>(type_));
  write_value(idx, static_cast<uint64_t>(num_documents()));
  write_value(idx, static_cast<uint64_t>(num_documents() + 1));
  idx.write(std::as_bytes(std::span(lengths_)));
  int64_t pointer = 0;
  for (const int32_t length : lengths_) {
    write_value(idx, pointer);
    pointer += length * token_bytes(type_);
  }
  for (int64_t boundary = 0; boundary <= num_documents(); ++boundary) write_value(idx, boundary);
  return idx.finish();
}

WrittenShard ShardWriter::finish() {
  WrittenShard written{num_tokens_, num_documents(), bin_.finish(), {}};
  written.idx = write_index(with_suffix(prefix_, ".idx.tmp"));
  rename_path(with_suffix(prefix_, ".bin.tmp"), with_suffix(prefix_, ".bin"));
  rename_path(with_suffix(prefix_, ".idx.tmp"), with_suffix(prefix_, ".idx"));
  const std::filesystem::path parent = prefix_.parent_path();
  sync_folder(parent.empty() ? std::filesystem::path(".") : parent);
  return written;
}

}  // namespace phalanx
