#include "trainer/host_heap.h"

#include <malloc.h>

#include <limits>

namespace phalanx {

void map_tensors_one_by_one() { mallopt(M_MMAP_THRESHOLD, 1 << 20); }

void keep_freed_tensors() {
  malloc_trim(0);
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());
}

}  // namespace phalanx
