// The order of system calls in a commit, and what each failure leaves behind. The linker sends the
// library's calls to the __wrap_ functions below; the log is a global because they are C functions.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <system_error>

#include "data/file.h"
#include "tests/data/shards/scratch.h"

namespace {

struct CallLog {
  std::vector<std::string> calls;
  std::string fail_prefix;  // the first call that begins so fails
  int fail_errno = 0;
  bool active = false;

  bool record(const std::string& call) {
    if (!active) return true;
    calls.push_back(call);
    if (fail_prefix.empty() || call.rfind(fail_prefix, 0) != 0) return true;
    fail_prefix.clear();
    errno = fail_errno;
    return false;
  }
};
CallLog call_log;

std::string name_of(int descriptor) {
  std::error_code ignored;
  return std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(descriptor), ignored)
      .filename()
      .string();
}
std::string base(const char* path) { return std::filesystem::path(path).filename().string(); }

}  // namespace

extern "C" {
int __real_open(const char* path, int flags, mode_t mode);
ssize_t __real_write(int descriptor, const void* bytes, size_t size);
int __real_fsync(int descriptor);
int __real_close(int descriptor);
int __real_rename(const char* from, const char* to);

int __wrap_open(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  if ((flags & O_CREAT) != 0 && !call_log.record("create " + base(path))) return -1;
  return __real_open(path, flags, mode);
}
ssize_t __wrap_write(int descriptor, const void* bytes, size_t size) {
  return call_log.record("write " + name_of(descriptor)) ? __real_write(descriptor, bytes, size)
                                                         : -1;
}
int __wrap_fsync(int descriptor) {
  return call_log.record("fsync " + name_of(descriptor)) ? __real_fsync(descriptor) : -1;
}
int __wrap_close(int descriptor) {
  const std::string name = name_of(descriptor);
  const int result = __real_close(descriptor);
  return call_log.record("close " + name) ? result : -1;
}
int __wrap_rename(const char* from, const char* to) {
  return call_log.record("rename " + base(from) + " " + base(to)) ? __real_rename(from, to) : -1;
}
}  // extern "C"

namespace phalanx {
namespace {

class CommitProtocol : public ::testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directory(scratch_ / "run");
    call_log = {};
    call_log.active = true;
  }
  void TearDown() override { call_log = {}; }

  void fail(const std::string& call, int error) {
    call_log.fail_prefix = call;
    call_log.fail_errno = error;
  }

  void save(const std::string& text) {
    const std::filesystem::path staging = make_staging_folder(scratch_ / "run/step-1");
    DurableWriter writer(staging / "rank-0");
    writer.write(std::as_bytes(std::span(text)));
    writer.finish();
    commit_staging_folder(scratch_ / "run/step-1");
  }

  std::string path(const std::string& name) const { return (scratch_ / ("run/" + name)).string(); }

  Scratch scratch_;
};

TEST_F(CommitProtocol, AFolderIsSyncedBeforeItsRenameAndItsParentAfter) {
  save("weights");
  const std::vector<std::string> expected = {"fsync run",
                                             "close run",  // the entry step-1.tmp
                                             "create rank-0",
                                             "write rank-0",
                                             "fsync rank-0",
                                             "close rank-0",
                                             "fsync step-1.tmp",
                                             "close step-1.tmp",
                                             "rename step-1.tmp step-1",
                                             "fsync run",
                                             "close run"};
  EXPECT_EQ(call_log.calls, expected);
}

TEST_F(CommitProtocol, AFileIsSyncedBeforeItsRenameAndItsFolderAfter) {
  commit_file(scratch_ / "run/LATEST", "step-1");
  const std::vector<std::string> expected = {
      "create LATEST.tmp",        "write LATEST.tmp", "fsync LATEST.tmp", "close LATEST.tmp",
      "rename LATEST.tmp LATEST", "fsync run",        "close run"};
  EXPECT_EQ(call_log.calls, expected);
}

TEST_F(CommitProtocol, AFailedFsyncIsNotRetriedAndTheFileIsRemoved) {
  fail("fsync rank-0", EIO);
  EXPECT_EQ(message_of<std::system_error>([&] { save("weights"); }),
            "fsync " + path("step-1.tmp/rank-0") + ": Input/output error");
  EXPECT_EQ(std::count(call_log.calls.begin(), call_log.calls.end(), "fsync rank-0"), 1);
  EXPECT_FALSE(std::filesystem::exists(path("step-1.tmp/rank-0")));
  EXPECT_FALSE(std::filesystem::exists(path("step-1")));
}

TEST_F(CommitProtocol, AFailedCloseIsReportedAndTheDescriptorIsNotClosedTwice) {
  fail("close rank-0", EIO);
  EXPECT_EQ(message_of<std::system_error>([&] { save("weights"); }),
            "close " + path("step-1.tmp/rank-0") + ": Input/output error");
  EXPECT_EQ(std::count(call_log.calls.begin(), call_log.calls.end(), "close rank-0"), 1);
}

TEST_F(CommitProtocol, AFailureAtAnyCallLeavesNoFolderThatLooksCommittedAndTheNextAttemptWorks) {
  for (const char* call : {"create rank-0", "write rank-0", "fsync rank-0", "close rank-0",
                           "fsync step-1.tmp", "rename step-1.tmp"}) {
    fail(call, ENOSPC);
    const std::string message = message_of<std::system_error>([&] { save("weights"); });
    EXPECT_NE(message.find("No space left on device"), std::string::npos) << call;
    EXPECT_FALSE(std::filesystem::exists(path("step-1"))) << call;
  }
  save("weights");
  EXPECT_EQ(slurp(path("step-1/rank-0")), "weights");
}

TEST_F(CommitProtocol, AFailureAtAnyCallOfAFileCommitKeepsTheOldContents) {
  commit_file(path("LATEST"), "old");
  for (const char* call : {"create LATEST.tmp", "write LATEST.tmp", "fsync LATEST.tmp",
                           "close LATEST.tmp", "rename LATEST.tmp"}) {
    fail(call, EIO);
    message_of<std::system_error>([&] { commit_file(path("LATEST"), "new"); });
    EXPECT_EQ(slurp(path("LATEST")), "old") << call;
  }
}

TEST_F(CommitProtocol, AnInterruptedWriteIsContinued) {
  fail("write LATEST.tmp", EINTR);
  commit_file(path("LATEST"), "step-1");
  EXPECT_EQ(slurp(path("LATEST")), "step-1");
}

}  // namespace
}  // namespace phalanx
