// Preloaded into the program under test: notes each pread of a token file, as "PATH OFFSET BYTES",
// in the folder PHALANX_READ_LOG, a file for each rank. What a run reads is then known from
// outside.
#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

namespace {

using Pread = ssize_t (*)(int, void*, size_t, off_t);

std::string path_of(int descriptor) {
  char path[4096];
  const std::string link = "/proc/self/fd/" + std::to_string(descriptor);
  const ssize_t length = readlink(link.c_str(), path, sizeof path);
  return length > 0 ? std::string(path, static_cast<size_t>(length)) : std::string();
}

void note(int descriptor, size_t bytes, off_t offset) {
  const char* folder = std::getenv("PHALANX_READ_LOG");
  if (folder == nullptr) return;
  const std::string path = path_of(descriptor);
  if (!path.ends_with(".bin")) return;
  const char* rank = std::getenv("OMPI_COMM_WORLD_RANK");
  const std::string log = std::string(folder) + "/" + (rank == nullptr ? "0" : rank);
  const std::string line = path + " " + std::to_string(offset) + " " + std::to_string(bytes) + "\n";
  const int file = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  if (file < 0 || write(file, line.data(), line.size()) < 0) std::abort();
  close(file);
}

}  // namespace

extern "C" {

ssize_t pread(int descriptor, void* bytes, size_t count, off_t offset) {
  note(descriptor, count, offset);
  return reinterpret_cast<Pread>(dlsym(RTLD_NEXT, "pread"))(descriptor, bytes, count, offset);
}

ssize_t pread64(int descriptor, void* bytes, size_t count, off_t offset) {
  note(descriptor, count, offset);
  return reinterpret_cast<Pread>(dlsym(RTLD_NEXT, "pread64"))(descriptor, bytes, count, offset);
}

}  // extern "C"
