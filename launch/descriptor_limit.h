#pragma once
// How many files this process may have open: as many as the machine lets it. Local.
#include <sys/resource.h>

#include <algorithm>
#include <cstdint>

namespace phalanx {

/// Files that this process may have open at once.
inline int64_t descriptor_limit() {
  rlimit limit;
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return INT64_MAX;
  return static_cast<int64_t>(std::min<rlim_t>(limit.rlim_cur, INT64_MAX));
}

/// For what stays open at once: sorted runs of a packing, shards that are held in a cache. Where it
/// cannot be raised it stays as it is, and opening one file too many is the error.
inline void raise_descriptor_limit() {
  rlimit limit;
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace phalanx
