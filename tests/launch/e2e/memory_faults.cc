// Preloaded into the program under test: one rank gets no memory at a chosen moment, and its disk
// is slow. By environment variables:
//   PHALANX_FAULT_RANK       of the rank; not set: a lone process, or rank 0
//   PHALANX_FAIL_ALLOCATION  PLACE:N, the N-th allocation (from 1) of C++ and of LibTorch
//                              main    of the main thread, once main() has begun
//                              loader  of other threads, once they have read a token file
//                              saver   of other threads, once they have touched a new checkpoint
//                              step    of the main thread, once a saver is at work
//   PHALANX_SLOW_FSYNC       milliseconds that an fsync takes longer
//   PHALANX_FAULT_LOG        a file: a line for what failed, and for each fsync that has ended
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstdlib>
#include <cstring>
#include <new>

namespace {

enum class Place { kNone, kMain, kLoader, kSaver, kStep };

struct Fault {
  Place place = Place::kNone;
  long number = 0;
  long fsync_ms = 0;
};

Place place_of(const char* text) {
  constexpr const char* kNames[] = {"main:", "loader:", "saver:", "step:"};
  for (int i = 0; i < 4; ++i) {
    if (std::strncmp(text, kNames[i], std::strlen(kNames[i])) == 0)
      return static_cast<Place>(i + 1);
  }
  return Place::kNone;
}

Fault read_fault() {
  const char* mine = std::getenv("OMPI_COMM_WORLD_RANK");
  const char* meant = std::getenv("PHALANX_FAULT_RANK");
  Fault fault;
  if (std::strcmp(mine ? mine : "0", meant ? meant : "0") != 0) return fault;
  if (const char* text = std::getenv("PHALANX_FAIL_ALLOCATION")) {
    fault.place = place_of(text);
    if (fault.place == Place::kNone) std::abort();
    fault.number = std::atol(std::strchr(text, ':') + 1);
  }
  if (const char* text = std::getenv("PHALANX_SLOW_FSYNC")) fault.fsync_ms = std::atol(text);
  return fault;
}

const Fault& fault() {
  static const Fault read = read_fault();
  return read;
}

std::atomic<bool> main_began{false}, saver_began{false};
std::atomic<long> allocations{0};
thread_local bool is_loader = false, is_saver = false;

bool is_main_thread() { return gettid() == getpid(); }

void note(const char* line) {
  const char* path = std::getenv("PHALANX_FAULT_LOG");
  if (path == nullptr) return;
  const long file = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND, 0644);
  if (file < 0 || write(static_cast<int>(file), line, std::strlen(line)) < 0) std::abort();
  syscall(SYS_close, file);
}

bool is_there() {
  switch (fault().place) {
    case Place::kMain:
      return main_began && is_main_thread();
    case Place::kLoader:
      return is_loader;
    case Place::kSaver:
      return is_saver;
    case Place::kStep:
      return saver_began && is_main_thread();
    default:
      return false;
  }
}

bool fails() {
  if (!main_began || !is_there() || ++allocations != fault().number) return false;
  note("no memory\n");
  return true;
}

void look_at(const char* path) {
  if (is_main_thread() || std::strstr(path, "checkpoints/step-") == nullptr) return;
  is_saver = true;
  saver_began = true;
}

void look_at(int descriptor) {
  if (is_main_thread() || is_loader || is_saver) return;
  char link[64] = "/proc/self/fd/", path[4096];
  char digits[16];
  int length = 0;
  for (int rest = descriptor; rest > 0 || length == 0; rest /= 10) {
    digits[length++] = static_cast<char>('0' + rest % 10);
  }
  char* end = link + std::strlen(link);
  while (length > 0) *end++ = digits[--length];
  *end = 0;
  const ssize_t size = readlink(link, path, sizeof path - 1);
  if (size <= 0) return;
  path[size] = 0;
  is_loader = size > 4 && std::strcmp(path + size - 4, ".bin") == 0;
  look_at(path);
}

template <typename Function>
Function next(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

}  // namespace

void* operator new(size_t size) {
  if (fails()) throw std::bad_alloc();
  void* bytes = std::malloc(size == 0 ? 1 : size);
  if (bytes == nullptr) throw std::bad_alloc();
  return bytes;
}
void operator delete(void* bytes) noexcept { std::free(bytes); }
void operator delete(void* bytes, size_t) noexcept { std::free(bytes); }

extern "C" {

int posix_memalign(void** bytes, size_t alignment, size_t size) {
  using Call = int (*)(void**, size_t, size_t);
  return fails() ? ENOMEM : next<Call>("posix_memalign")(bytes, alignment, size);
}

void* aligned_alloc(size_t alignment, size_t size) {
  using Call = void* (*)(size_t, size_t);
  return fails() ? nullptr : next<Call>("aligned_alloc")(alignment, size);
}

// The first thing that main() does is to ignore a signal.
sighandler_t signal(int number, sighandler_t handler) {
  if (number == SIGXFSZ) main_began = true;
  return next<sighandler_t (*)(int, sighandler_t)>("signal")(number, handler);
}

ssize_t pread(int descriptor, void* bytes, size_t count, off_t offset) {
  look_at(descriptor);
  return next<ssize_t (*)(int, void*, size_t, off_t)>("pread")(descriptor, bytes, count, offset);
}

ssize_t pread64(int descriptor, void* bytes, size_t count, off_t offset) {
  return pread(descriptor, bytes, count, offset);
}

ssize_t pwrite(int descriptor, const void* bytes, size_t count, off_t offset) {
  using Call = ssize_t (*)(int, const void*, size_t, off_t);
  look_at(descriptor);
  return next<Call>("pwrite")(descriptor, bytes, count, offset);
}

ssize_t pwrite64(int descriptor, const void* bytes, size_t count, off_t offset) {
  return pwrite(descriptor, bytes, count, offset);
}

int mkdir(const char* path, mode_t mode) {
  look_at(path);
  return next<int (*)(const char*, mode_t)>("mkdir")(path, mode);
}

int open(const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(more, mode_t) : 0;
  va_end(more);
  if ((flags & O_CREAT) != 0) look_at(path);
  return next<int (*)(const char*, int, ...)>("open")(path, flags, mode);
}

int fsync(int descriptor) {
  if (fault().fsync_ms > 0) usleep(static_cast<useconds_t>(fault().fsync_ms) * 1000);
  const int done = next<int (*)(int)>("fsync")(descriptor);
  if (fault().fsync_ms > 0) note("fsync ended\n");
  return done;
}

}  // extern "C"
