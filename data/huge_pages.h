// An allocator for tables that are read at random: large ones begin at a boundary of 2 MiB and ask
// the kernel for pages of that size, so that a look-up does not wait for the page table as well.
// The kernel may leave it at small pages; nothing but the speed depends on it. Local; stateless.
// Memory that is not to be had is std::bad_alloc.
#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <cstddef>
#include <new>
#include <vector>

namespace phalanx {

template <typename T>
struct HugePageAllocator {
  using value_type = T;

  HugePageAllocator() = default;
  template <typename Other>
  HugePageAllocator(const HugePageAllocator<Other>&) {}

  T* allocate(size_t count) {
    const size_t bytes = bytes_of(count);
    void* memory = ::operator new(bytes, alignment_of(bytes));
    if (bytes >= kHugePage) (void)madvise(memory, bytes, MADV_HUGEPAGE);
    return static_cast<T*>(memory);
  }
  void deallocate(T* memory, size_t count) {
    ::operator delete(memory, alignment_of(bytes_of(count)));
  }

  bool operator==(const HugePageAllocator&) const = default;

 private:
  static constexpr size_t kHugePage = size_t{1} << 21;

  static size_t bytes_of(size_t count) {
    if (count > static_cast<size_t>(-1) / sizeof(T)) throw std::bad_array_new_length();
    return count * sizeof(T);
  }
  static std::align_val_t alignment_of(size_t bytes) {
    return std::align_val_t{bytes >= kHugePage ? kHugePage : std::max(alignof(T), size_t{16})};
  }
};

template <typename T>
using HugePageVector = std::vector<T, HugePageAllocator<T>>;

}  // namespace phalanx
