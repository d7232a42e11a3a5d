#include "launch/no_memory.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <new>
#include <stdexcept>

namespace phalanx {
namespace {

template <typename Error>
[[noreturn]] void fail() {
  throw Error("of the test");
}

template <typename Error>
void throw_where_none_may_leave() noexcept {
  fail<Error>();
}

struct NoMemory final : std::bad_alloc {
  explicit NoMemory(const char* text) : text_(text) {}
  const char* what() const noexcept override { return text_; }

 private:
  const char* text_;
};

TEST(NoMemoryDeathTest, OfALoneProcess) {
  EXPECT_EXIT((speak_when_memory_runs_out(), throw_where_none_may_leave<NoMemory>()),
              testing::ExitedWithCode(2), "^phalanx: error: out of memory: of the test\n$");
}

TEST(NoMemoryDeathTest, OfARank) {
  const auto end_as_a_rank = [] {
    setenv("OMPI_COMM_WORLD_SIZE", "2", 1);
    setenv("OMPI_COMM_WORLD_RANK", "1", 1);
    speak_when_memory_runs_out();
    throw_where_none_may_leave<NoMemory>();
  };
  EXPECT_EXIT(end_as_a_rank(), testing::ExitedWithCode(2),
              "^phalanx: error on rank 1: out of memory: of the test\n$");
}

TEST(NoMemoryDeathTest, AnyOtherErrorAborts) {
  EXPECT_EXIT((speak_when_memory_runs_out(), throw_where_none_may_leave<std::runtime_error>()),
              testing::KilledBySignal(SIGABRT), "std::runtime_error.*\n.*of the test");
}

}  // namespace
}  // namespace phalanx
