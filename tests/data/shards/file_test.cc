#include "data/file.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <system_error>

#include "tests/data/shards/scratch.h"

namespace phalanx {
namespace {

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

TEST(File, ReadsExactlyTheRangeAskedFor) {
  const Scratch scratch;
  spill(scratch / "a", "0123456789");
  const File file = File::open_read(scratch / "a");
  std::string part(4, ' ');
  file.read_exact(3, std::as_writable_bytes(std::span(part)));
  EXPECT_EQ(part, "3456");
  EXPECT_EQ(file.size(), 10);
}

TEST(File, NamesPlaceAndSizesWhenTheFileEndsTooSoon) {
  const Scratch scratch;
  spill(scratch / "a", "0123456789");
  const File file = File::open_read(scratch / "a");
  std::string part(4, ' ');
  EXPECT_EQ(
      message_of<std::invalid_argument>(
          [&] { file.read_exact(8, std::as_writable_bytes(std::span(part))); }),
      (scratch / "a").string() + ": expected 4 bytes at offset 8, found 2: the file is truncated");
}

TEST(File, NamesTheMissingFile) {
  const Scratch scratch;
  EXPECT_EQ(message_of<std::system_error>([&] { (void)File::open_read(scratch / "none"); }),
            "open " + (scratch / "none").string() + ": No such file or directory");
}

TEST(File, NamesTheFolderThatIsNotThereOnCreate) {
  const Scratch scratch;
  EXPECT_EQ(message_of<std::system_error>([&] { (void)File::create(scratch / "no/file"); }),
            "create " + (scratch / "no/file").string() + ": No such file or directory");
}

TEST(File, ReportsAFullDiskWithThePath) {
  const Scratch scratch;
  std::filesystem::create_symlink("/dev/full", scratch / "rank-0");
  File file = File::create(scratch / "rank-0");
  EXPECT_EQ(message_of<std::system_error>([&] { file.write_all(bytes_of("x")); }),
            "write " + (scratch / "rank-0").string() + ": No space left on device");
}

TEST(File, ReportsAFullDiskAlsoWhenTheBufferIsFlushedLate) {
  const Scratch scratch;
  std::filesystem::create_symlink("/dev/full", scratch / "rank-0");
  DurableWriter writer(scratch / "rank-0");
  writer.write(bytes_of("only buffered so far"));
  EXPECT_EQ(message_of<std::system_error>([&] { writer.finish(); }),
            "write " + (scratch / "rank-0").string() + ": No space left on device");
}

// In a child, because the limit is of the process and cannot be raised again.
TEST(File, AFileTooLargeForTheLimitIsAnErrorAndKeepsWhatWasCommitted) {
  const Scratch scratch;
  const std::filesystem::path path = scratch / "state.json";
  commit_file(path, "old");
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{4096, 4096};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    try {
      commit_file(path, std::string(10000, 'x'));
    } catch (const std::system_error& error) {
      const std::string expected = "write " + path.string() + ".tmp: File too large";
      ::_exit(error.what() == expected ? 0 : 1);
    }
    ::_exit(2);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  EXPECT_EQ(slurp(path), "old");
  EXPECT_FALSE(std::filesystem::exists(path.string() + ".tmp"));
}

TEST(DurableWriter, RemovesWhatWasNotFinished) {
  const Scratch scratch;
  { DurableWriter(scratch / "a").write(bytes_of("half")); }
  EXPECT_FALSE(std::filesystem::exists(scratch / "a"));
}

TEST(DurableWriter, CountsAndHashesWhatItWrote) {
  const Scratch scratch;
  DurableWriter writer(scratch / "a");
  std::string all;
  for (const size_t size : {5u, 1u << 20, 3u << 20, 17u << 20, 1u}) {
    const std::string piece(size, static_cast<char>('a' + size % 7));
    writer.write(bytes_of(piece));
    all += piece;
  }
  const WrittenFile written = writer.finish();
  EXPECT_EQ(slurp(scratch / "a"), all);
  EXPECT_EQ(written.bytes, static_cast<int64_t>(all.size()));
  EXPECT_EQ(written.xxh3, xxh3(all));
  ASSERT_EQ(written.block_hashes.size(), 2u);
  EXPECT_EQ(written.block_hashes[0], xxh3(std::string_view(all).substr(0, kHashBlockBytes)));
  EXPECT_EQ(written.block_hashes[1], xxh3(std::string_view(all).substr(kHashBlockBytes)));
}

TEST(BlockHash, IsTheXxh3ThatOtherToolsPrint) {
  EXPECT_EQ(hash_text(xxh3("")), "2d06800538d394c2");
  EXPECT_EQ(hash_text(xxh3("phalanx")), hash_text([] {
              BlockHasher hasher;
              hasher.update(bytes_of("pha"));
              hasher.update(bytes_of("lanx"));
              return hasher.digest();
            }()));
  EXPECT_EQ(hash_text(0xab), "00000000000000ab");
}

TEST(BlockHash, AWholeBlockIsNotFollowedByAnEmptyOne) {
  BlockHasher hasher;
  hasher.update(bytes_of(std::string(static_cast<size_t>(kHashBlockBytes), 'x')));
  EXPECT_EQ(hasher.block_hashes().size(), 1u);
  EXPECT_TRUE(BlockHasher().block_hashes().empty());
}

TEST(ReadText, RefusesAFileOverTheLimitBeforeReadingIt) {
  const Scratch scratch;
  spill(scratch / "a", "0123456789");
  EXPECT_EQ(read_text(scratch / "a", 10), "0123456789");
  EXPECT_EQ(message_of<std::invalid_argument>([&] { (void)read_text(scratch / "a", 9); }),
            (scratch / "a").string() + ": expected at most 9 bytes, found 10");
}

TEST(CommitFolder, ShowsTheFolderOnlyWhenWhole) {
  const Scratch scratch;
  const std::filesystem::path name = scratch / "runs/x/step-10";
  const std::filesystem::path staging = make_staging_folder(name);
  EXPECT_EQ(staging, name.string() + ".tmp");
  DurableWriter writer(staging / "rank-0");
  writer.write(bytes_of("weights"));
  writer.finish();
  EXPECT_FALSE(std::filesystem::exists(name));
  commit_staging_folder(name);
  EXPECT_EQ(slurp(name / "rank-0"), "weights");
  EXPECT_FALSE(std::filesystem::exists(staging));
}

TEST(CommitFolder, StartsFromAnEmptyStagingFolder) {
  const Scratch scratch;
  spill(make_staging_folder(scratch / "s") / "left-over", "from a crash");
  EXPECT_TRUE(std::filesystem::is_empty(make_staging_folder(scratch / "s")));
}

TEST(CommitFolder, NeverReplacesAFolderThatHoldsSomething) {
  const Scratch scratch;
  spill(scratch / "s/precious", "old");
  spill(make_staging_folder(scratch / "s") / "new", "new");
  const std::string message =
      message_of<std::system_error>([&] { commit_staging_folder(scratch / "s"); });
  EXPECT_EQ(message, "rename " + (scratch / "s.tmp").string() + " to " + (scratch / "s").string() +
                         ": Directory not empty");
  EXPECT_EQ(slurp(scratch / "s/precious"), "old");
}

TEST(CommitFolder, TakesANameWithATrailingSlash) {
  const Scratch scratch;
  EXPECT_EQ(staging_folder(scratch.folder().string() + "/s/"), scratch / "s.tmp");
}

}  // namespace
}  // namespace phalanx
