#include "data/tokenizer/tokenizer_file.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <stdexcept>
#include <system_error>

#include "data/file.h"

namespace phalanx {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMaxFileBytes = int64_t{1} << 28;

using OpenFile = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

[[noreturn]] void fail_on(const std::string& path, const char* action) {
  throw std::system_error(errno, std::generic_category(),
                          fmt::format("cannot {} {}", action, path));
}

std::string read_whole(const std::string& path) {
  const OpenFile file(std::fopen(path.c_str(), "rb"), &std::fclose);
  if (!file) fail_on(path, "open");
  std::string text;
  char buffer[1 << 16];
  while (const size_t got = std::fread(buffer, 1, sizeof buffer, file.get())) {
    text.append(buffer, got);
    if (static_cast<int64_t>(text.size()) > kMaxFileBytes) {
      throw std::invalid_argument(fmt::format(
          "{}: expected a tokenizer file of at most {} bytes, found more", path, kMaxFileBytes));
    }
  }
  if (std::ferror(file.get())) fail_on(path, "read");
  return text;
}

}  // namespace

std::string tokenizer_file(const std::string& path) {
  const fs::path folder(path);
  if (!fs::is_directory(folder)) return path;
  for (const char* name : {"tokenizer.json", "hf.tokenizer.json"}) {
    if (fs::exists(folder / name)) return (folder / name).string();
  }
  throw std::invalid_argument(
      fmt::format("{}: expected a tokenizer file, or a folder with tokenizer.json in it", path));
}

std::unique_ptr<Tokenizer> load_tokenizer(const std::string& path) {
  const std::string name = tokenizer_file(path);
  const std::string text = read_whole(name);
  TokenizerParts parts =
      name.ends_with(".tiktoken") ? parse_ranks(text, name) : parse_tokenizer_json(text, name);
  return std::make_unique<Tokenizer>(std::move(parts), name);
}

std::string save_tokenizer(const Tokenizer& tokenizer, const std::string& folder) {
  make_folders(folder);
  const std::string path = (fs::path(folder) / "tokenizer.json").string();
  commit_file(path, tokenizer_json(tokenizer));
  return path;
}

}  // namespace phalanx
