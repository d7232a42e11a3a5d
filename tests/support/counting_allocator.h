#pragma once
// Counts the bytes that CPU tensors hold, and the most they held at one time. Threads: any.
#include <c10/core/CPUAllocator.h>

#include <atomic>
#include <cstdint>

namespace phalanx {

class CountingAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t num_bytes) override {
    // The pointer is its own context, as raw_allocate() wants it; what is known of it lies before.
    auto* memory =
        static_cast<char*>(c10::GetDefaultCPUAllocator()->raw_allocate(num_bytes + kHead));
    new (memory) Head{static_cast<int64_t>(num_bytes), this};
    const int64_t live = live_ += static_cast<int64_t>(num_bytes);
    int64_t peak = peak_;
    while (live > peak && !peak_.compare_exchange_weak(peak, live)) {
    }
    return {memory + kHead, memory + kHead, &release, c10::Device(c10::kCPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &release; }
  void copy_data(void* to, const void* from, size_t num_bytes) const override {
    default_copy_data(to, from, num_bytes);
  }
  int64_t live() const { return live_; }
  int64_t peak() const { return peak_; }
  void restart() { peak_ = live_.load(); }

 private:
  struct Head {
    int64_t num_bytes;
    CountingAllocator* owner;
  };
  static constexpr size_t kHead = 64;  // keeps the alignment
  static_assert(sizeof(Head) <= kHead);

  static void release(void* data) {
    char* memory = static_cast<char*>(data) - kHead;
    const Head head = *reinterpret_cast<Head*>(memory);
    head.owner->live_ -= head.num_bytes;
    c10::GetDefaultCPUAllocator()->raw_deallocate(memory);
  }
  std::atomic<int64_t> live_{0}, peak_{0};
};

/// Stands in for the allocator as long as it lives; tensors made meanwhile must not outlive it.
class Counting {
 public:
  Counting() : before_(c10::GetCPUAllocator()) { c10::SetCPUAllocator(&allocator_); }
  ~Counting() { c10::SetCPUAllocator(before_); }
  CountingAllocator& allocator() { return allocator_; }

 private:
  CountingAllocator allocator_;
  c10::Allocator* before_;
};

}  // namespace phalanx
