#pragma once
// Exact reads from a checkpoint's files in which no damaged byte is ever handed out: a block is
// read whole and hashed before any part of it is used.
//
// Local; one owner. Keeps the last few blocks (256 MiB) in memory and no file open.
// Errors: std::invalid_argument that names the file, the block, and the expected and found size or
// hash; std::system_error when a file cannot be opened or read.
#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "trainer/checkpoint/manifest.h"
#include "trainer/checkpoint/safetensors.h"

namespace phalanx {

class VerifiedFiles {
 public:
  /// `where` begins every message.
  VerifiedFiles(std::filesystem::path folder, std::map<std::string, ManifestFile> files,
                std::string where);

  const std::map<std::string, ManifestFile>& files() const { return files_; }

  /// Fills `bytes` from [offset, offset + bytes.size()) of a listed file.
  void read(const std::string& file, int64_t offset, std::span<std::byte> bytes);
  [[nodiscard]] std::string read_whole(const std::string& file);
  /// Read once, then kept.
  const SafetensorsHeader& header(const std::string& file);

  /// Of each file, and that it is none elsewhere by way of a link.
  void check_sizes() const;
  /// Hashes the blocks whose number, counted over all files, is `part` modulo `num_parts`.
  void check_blocks(int64_t part, int64_t num_parts);

 private:
  struct Block {
    std::string file;
    int64_t index = 0;
    std::vector<std::byte> bytes;
  };
  const Block& block(const std::string& file, int64_t index);
  void load(Block& block) const;
  void check_inside(const std::string& file) const;
  const ManifestFile& listed(const std::string& file) const;

  std::filesystem::path folder_;
  std::map<std::string, ManifestFile> files_;
  std::string where_;
  std::deque<Block> blocks_;  // most recently used first
  std::map<std::string, SafetensorsHeader> headers_;
};

}  // namespace phalanx
