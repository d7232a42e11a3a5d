// Locks where flock(2) fails: the linker sends the library's calls to __wrap_flock below.
#include "data/file_lock.h"

#include <gtest/gtest.h>
#include <sys/file.h>

#include <cerrno>
#include <system_error>

#include "tests/data/shards/scratch.h"

namespace {
int next_errno = 0;  // 0: the call goes through; global because C functions see it
}

extern "C" {
int __real_flock(int descriptor, int operation);
int __wrap_flock(int descriptor, int operation) {
  if (next_errno == 0) return __real_flock(descriptor, operation);
  errno = next_errno;
  return -1;
}
}

namespace phalanx {
namespace {

class FileLocks : public ::testing::Test {
 protected:
  ~FileLocks() override { next_errno = 0; }
  const Scratch scratch_;
  const std::filesystem::path path_ = scratch_ / "lock";
};

TEST_F(FileLocks, KeepOthersOut) {
  const FileLock mine = FileLock::exclude(path_);
  EXPECT_TRUE(mine.keeps_others_out());
  EXPECT_FALSE(FileLock::try_exclude(path_).has_value());
}

TEST_F(FileLocks, AreSeenWithoutBeingTaken) {
  EXPECT_EQ(FileLock::is_excluded(path_), std::nullopt);
  EXPECT_FALSE(std::filesystem::exists(path_));
  {
    const FileLock mine = FileLock::exclude(path_);
    EXPECT_EQ(FileLock::is_excluded(path_), true);
  }
  EXPECT_EQ(FileLock::is_excluded(path_), false);
  EXPECT_TRUE(FileLock::try_exclude(path_).has_value());
  const FileLock shared = FileLock::share(path_);
  EXPECT_EQ(FileLock::is_excluded(path_), false);
  next_errno = ENOSYS;
  EXPECT_EQ(FileLock::is_excluded(path_), std::nullopt);
}

TEST_F(FileLocks, AreTakenAndSayThatTheyDoNothingOnAFileSystemWithoutThem) {
  for (const int error : {ENOSYS, EOPNOTSUPP}) {
    next_errno = error;
    EXPECT_FALSE(FileLock::share(path_).keeps_others_out());
    EXPECT_FALSE(FileLock::exclude(path_).keeps_others_out());
    EXPECT_FALSE(FileLock::try_exclude(path_).value().keeps_others_out());
  }
}

TEST_F(FileLocks, AFileSystemThatHasTooManyIsAnError) {
  for (const int error : {ENOLCK, EIO}) {
    next_errno = error;
    for (const auto& take : {std::function<void()>([&] { (void)FileLock::share(path_); }),
                             std::function<void()>([&] { (void)FileLock::try_exclude(path_); })}) {
      EXPECT_EQ(message_of<std::system_error>(take).rfind("lock " + path_.string(), 0), 0u);
    }
  }
}

}  // namespace
}  // namespace phalanx
