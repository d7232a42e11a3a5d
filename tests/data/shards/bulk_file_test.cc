// Files written and read back by several streams: the bytes and hashes of DurableWriter, at every
// size that an alignment could get wrong, past the page cache and (in /dev/shm) perhaps not.
#include "data/bulk_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <system_error>

#include "tests/data/shards/scratch.h"

namespace phalanx {
namespace {

std::string noise(size_t size) {
  std::string text(size, '\0');
  uint64_t bits = size + 1;
  for (char& byte : text) {
    bits = bits * 6364136223846793005ULL + 1442695040888963407ULL;
    byte = static_cast<char>(bits >> 56);
  }
  return text;
}

/// Pieces of odd lengths, some of them empty.
BytePieces cut(std::string_view text) {
  BytePieces pieces;
  for (size_t length = 0; !text.empty(); length = length * 7 + 1) {
    const size_t count = std::min(length, text.size());
    pieces.push_back(std::as_bytes(std::span(text.substr(0, count))));
    text.remove_prefix(count);
  }
  return pieces;
}

constexpr int64_t kMiB = int64_t{1} << 20;
const std::vector<int64_t> kSizes{
    0, 1, 4095, 4096, 4097, 4 * kMiB - 1, 4 * kMiB, 16 * kMiB, 16 * kMiB + 1, 33 * kMiB + 17};

TEST(BulkFile, HoldsTheBytesOfItsPiecesAndTheHashesOfTheirBlocks) {
  const Scratch scratch;
  for (const int64_t size : kSizes) {
    SCOPED_TRACE(size);
    const std::string text = noise(static_cast<size_t>(size));
    DurableWriter plain(scratch / "plain");
    plain.write(std::as_bytes(std::span(text)));
    const std::vector<uint64_t> expected = plain.finish().block_hashes;
    for (const int streams : {1, 3}) {
      const WrittenBlocks written = write_in_bulk(scratch / "bulk", cut(text), streams);
      EXPECT_EQ(written.bytes, size);
      EXPECT_EQ(written.block_hashes, expected);
      EXPECT_TRUE(slurp(scratch / "bulk") == text);
      EXPECT_NO_THROW(read_back(scratch / "bulk", written, streams));
    }
  }
}

TEST(BulkFile, ReplacesALongerOne) {
  const Scratch scratch;
  const std::string text = noise(100);
  (void)write_in_bulk(scratch / "f", cut(noise(10000)), 2);
  const WrittenBlocks written = write_in_bulk(scratch / "f", cut(text), 2);
  EXPECT_EQ(slurp(scratch / "f"), text);
  EXPECT_NO_THROW(read_back(scratch / "f", written, 2));
}

TEST(BulkFile, ReadingBackNamesTheBlockThatDiffersAndAnotherSize) {
  const Scratch scratch;
  std::string text = noise(17 * kMiB);
  const WrittenBlocks written = write_in_bulk(scratch / "f", cut(text), 2);
  const std::string where = "read back: file " + (scratch / "f").string() + ": ";
  text.back() ^= 1;
  (void)write_in_bulk(scratch / "f", cut(text), 2);
  const auto message = [&] {
    return message_of<std::system_error>([&] { read_back(scratch / "f", written, 2); });
  };
  EXPECT_EQ(message().rfind(where + "block 1: expected hash ", 0), 0U) << message();
  text.pop_back();
  (void)write_in_bulk(scratch / "f", cut(text), 2);
  EXPECT_EQ(message().rfind(where + "expected 17825792 bytes, found 17825791", 0), 0U) << message();
}

TEST(BulkFile, AFolderThatIsNotThereIsAnErrorWithThePath) {
  const Scratch scratch;
  const std::string message = message_of<std::system_error>(
      [&] { (void)write_in_bulk(scratch / "none/f", cut("abc"), 2); });
  EXPECT_EQ(message, "create " + (scratch / "none/f").string() + ": No such file or directory");
}

TEST(BulkFile, AFileSystemInMemoryWorksToo) {
  const std::filesystem::path memory = "/dev/shm";
  if (!std::filesystem::is_directory(memory)) GTEST_SKIP() << "no /dev/shm";
  const std::filesystem::path file = memory / ("phalanx-bulk-" + std::to_string(::getpid()));
  const std::string text = noise(5 * kMiB + 3);
  const WrittenBlocks written = write_in_bulk(file, cut(text), 2);
  EXPECT_TRUE(slurp(file) == text);
  EXPECT_NO_THROW(read_back(file, written, 2));
  std::filesystem::remove(file);
}

}  // namespace
}  // namespace phalanx
