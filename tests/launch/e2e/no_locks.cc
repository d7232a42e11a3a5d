// Preloaded into a program that then finds no file system with locks.
#include <sys/file.h>

#include <cerrno>

extern "C" int flock(int /*descriptor*/, int /*operation*/) noexcept {
  errno = ENOSYS;
  return -1;
}
