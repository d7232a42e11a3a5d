#include "trainer/checkpoint/verified_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "data/block_hash.h"
#include "data/file.h"

namespace phalanx {
namespace {

constexpr size_t kMaxBlocks = 16;

}  // namespace

VerifiedFiles::VerifiedFiles(std::filesystem::path folder,
                             std::map<std::string, ManifestFile> files, std::string where)
    : folder_(std::move(folder)), files_(std::move(files)), where_(std::move(where)) {}

void VerifiedFiles::read(const std::string& file, int64_t offset, std::span<std::byte> bytes) {
  const int64_t file_bytes = listed(file).bytes;
  if (offset < 0 || offset > file_bytes ||
      static_cast<int64_t>(bytes.size()) > file_bytes - offset) {
    throw std::invalid_argument(
        fmt::format("{}: file {}: expected {} bytes at offset {}, found a "
                    "file of {}",
                    where_, file, bytes.size(), offset, file_bytes));
  }
  while (!bytes.empty()) {
    const std::vector<std::byte>& loaded = block(file, offset / kHashBlockBytes).bytes;
    const int64_t begin = offset % kHashBlockBytes;
    const size_t count = std::min(bytes.size(), loaded.size() - static_cast<size_t>(begin));
    std::copy_n(loaded.begin() + begin, count, bytes.begin());
    offset += static_cast<int64_t>(count);
    bytes = bytes.subspan(count);
  }
}

std::string VerifiedFiles::read_whole(const std::string& file) {
  std::string contents(static_cast<size_t>(listed(file).bytes), '\0');
  read(file, 0, std::as_writable_bytes(std::span(contents)));
  return contents;
}

const SafetensorsHeader& VerifiedFiles::header(const std::string& file) {
  const auto found = headers_.find(file);
  if (found != headers_.end()) return found->second;
  const auto read_part = [&](int64_t offset, std::span<std::byte> bytes) {
    read(file, offset, bytes);
  };
  const std::string path = fmt::format("{}: file {}", where_, file);
  return headers_.emplace(file, read_safetensors_header(path, listed(file).bytes, read_part))
      .first->second;
}

// A checkpoint is copied and deleted as one folder, and from elsewhere should not make us open what
// it likes.
void VerifiedFiles::check_inside(const std::string& file) const {
  const std::filesystem::path path = folder_ / file;
  if (!std::filesystem::is_symlink(path)) return;
  const std::filesystem::path target = std::filesystem::weakly_canonical(path);
  if (target.parent_path() == std::filesystem::canonical(folder_)) return;
  throw std::invalid_argument(
      fmt::format("{}: file {}: expected a file of the folder itself, found a link to {}", where_,
                  file, target.string()));
}

void VerifiedFiles::check_sizes() const {
  for (const auto& [name, file] : files_) {
    check_inside(name);
    const int64_t found = File::open_read(folder_ / name).size();
    if (found == file.bytes) continue;
    throw std::invalid_argument(
        fmt::format("{}: file {}: expected {} bytes, found {}", where_, name, file.bytes, found));
  }
}

void VerifiedFiles::check_blocks(int64_t part, int64_t num_parts) {
  int64_t number = 0;
  Block checked;
  for (const auto& [name, file] : files_) {
    const auto num_blocks = static_cast<int64_t>(file.block_hashes.size());
    for (int64_t index = 0; index < num_blocks; ++index, ++number) {
      if (number % num_parts != part) continue;
      checked.file = name;
      checked.index = index;
      load(checked);
    }
  }
}

const VerifiedFiles::Block& VerifiedFiles::block(const std::string& file, int64_t index) {
  const auto found = std::find_if(blocks_.begin(), blocks_.end(), [&](const Block& block) {
    return block.index == index && block.file == file;
  });
  if (found == blocks_.begin() && found != blocks_.end()) return blocks_.front();
  Block block;
  if (found != blocks_.end()) {
    block = std::move(*found);
    blocks_.erase(found);
  } else {
    // The oldest block's memory is used again.
    if (blocks_.size() == kMaxBlocks) {
      block = std::move(blocks_.back());
      blocks_.pop_back();
    }
    block.file = file;
    block.index = index;
    load(block);
  }
  blocks_.push_front(std::move(block));
  return blocks_.front();
}

void VerifiedFiles::load(Block& block) const {
  const ManifestFile& file = listed(block.file);
  const File opened = File::open_read(folder_ / block.file);
  if (const int64_t found = opened.size(); found != file.bytes) {
    throw std::invalid_argument(fmt::format("{}: file {}: expected {} bytes, found {}", where_,
                                            block.file, file.bytes, found));
  }
  const int64_t begin = block.index * kHashBlockBytes;
  const int64_t end = std::min(begin + kHashBlockBytes, file.bytes);
  block.bytes.resize(static_cast<size_t>(end - begin));
  opened.read_exact(begin, block.bytes);
  const uint64_t expected = file.block_hashes[static_cast<size_t>(block.index)];
  const uint64_t found = xxh3(block.bytes);
  if (found == expected) return;
  throw std::invalid_argument(fmt::format(
      "{}: file {}: block {} (bytes {} to {}): expected hash {}, found {}: the file is "
      "damaged",
      where_, block.file, block.index, begin, end, hash_text(expected), hash_text(found)));
}

const ManifestFile& VerifiedFiles::listed(const std::string& file) const {
  const auto found = files_.find(file);
  if (found != files_.end()) return found->second;
  throw std::invalid_argument(
      fmt::format("{}: manifest.json: file {} is not listed", where_, file));
}

}  // namespace phalanx
