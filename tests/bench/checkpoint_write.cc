// How fast a rank's file of a checkpoint is written and read back, beside what the disk takes of
// plain writes in the same run: 16 MiB at a time, past the page cache and through it, from one and
// several threads, each ended by an fsync.
//
//   checkpoint_write FOLDER [GIB] [ROUNDS]
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "data/bulk_file.h"

namespace phalanx {
namespace {

using Path = std::filesystem::path;
constexpr int64_t kRequestBytes = int64_t{16} << 20;

double seconds_of(const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

void require(bool done, const char* what) {
  if (!done) throw std::runtime_error(fmt::format("{}: {}", what, std::strerror(errno)));
}

/// Plain writes of the same bytes: thread t takes each num_threads-th request.
void write_plainly(const Path& path, std::span<const std::byte> bytes, bool direct,
                   int num_threads) {
  const int flags = O_WRONLY | O_CREAT | O_TRUNC | (direct ? O_DIRECT : 0);
  const int file = ::open(path.c_str(), flags, 0666);
  require(file >= 0, "open");
  require(::fallocate(file, 0, 0, static_cast<off_t>(bytes.size())) == 0, "fallocate");
  const auto size = static_cast<int64_t>(bytes.size());
  {
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < num_threads; ++thread) {
      threads.emplace_back([=] {
        for (int64_t at = thread * kRequestBytes; at < size; at += num_threads * kRequestBytes) {
          const auto count = static_cast<size_t>(std::min(kRequestBytes, size - at));
          require(::pwrite(file, bytes.data() + at, count, at) == static_cast<ssize_t>(count),
                  "pwrite");
        }
      });
    }
  }
  require(::fsync(file) == 0, "fsync");
  ::close(file);
}

/// Lines by name: the best rate of all rounds, in bytes a second.
using Rates = std::map<std::string, double>;

void measure_round(const Path& file, std::span<const std::byte> bytes, Rates& rates) {
  const auto note = [&](const std::string& name, const std::function<void()>& work) {
    double& best = rates[name];
    best = std::max(best, double(bytes.size()) / seconds_of(work));
  };
  const auto write = [&](const std::string& name, const std::function<void()>& work) {
    std::filesystem::remove(file);
    note(name, work);
  };
  for (const int threads : {1, 2, 4}) {
    write(fmt::format("plain, past the cache, {}", threads),
          [&] { write_plainly(file, bytes, /*direct=*/true, threads); });
  }
  write("plain, through the cache, 1", [&] { write_plainly(file, bytes, /*direct=*/false, 1); });
  WrittenBlocks written;
  for (const int streams : {1, 2, 4}) {
    write(fmt::format("write_in_bulk, {}", streams),
          [&] { written = write_in_bulk(file, {bytes}, streams); });
  }
  for (const int streams : {1, 2}) {
    note(fmt::format("read_back, {}", streams), [&] { read_back(file, written, streams); });
  }
  std::filesystem::remove(file);
}

void print(const Rates& rates) {
  double plain = 0;
  for (const auto& [name, rate] : rates) {
    if (name.starts_with("plain")) plain = std::max(plain, rate);
  }
  fmt::print("{:<30} {:>8} {:>22}\n", "streams", "MB/s", "of the fastest plain");
  for (const auto& [name, rate] : rates) {
    fmt::print("{:<30} {:>8.0f} {:>22.2f}\n", name, rate / 1e6, rate / plain);
  }
}

void run(const Path& folder, double gib, int rounds) {
  const auto size = static_cast<size_t>(gib * 64) * static_cast<size_t>(kRequestBytes);
  auto* memory = static_cast<std::byte*>(std::aligned_alloc(4096, size));
  require(memory != nullptr, "memory");
  uint64_t bits = 1;  // so that no disk can make the bytes fewer
  for (size_t at = 0; at < size; at += sizeof bits) {
    bits = bits * 6364136223846793005ULL + 1442695040888963407ULL;
    std::memcpy(memory + at, &bits, sizeof bits);
  }
  Rates rates;
  for (int round = 0; round < rounds; ++round) {
    measure_round(folder / "checkpoint-write.tmp", {memory, size}, rates);
  }
  fmt::print("{:.2f} GiB, best of {} rounds\n", gib, rounds);
  print(rates);
  std::free(memory);
}

}  // namespace
}  // namespace phalanx

int main(int argc, char** argv) {
  if (argc < 2) {
    fmt::print(stderr, "usage: checkpoint_write FOLDER [GIB] [ROUNDS]\n");
    return 2;
  }
  phalanx::run(argv[1], argc > 2 ? std::atof(argv[2]) : 1.0, argc > 3 ? std::atoi(argv[3]) : 3);
}
