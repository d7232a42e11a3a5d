#include "trainer/metrics/memory_use.h"

#include <c10/core/CachingDeviceAllocator.h>
#include <sys/resource.h>

namespace phalanx {

int64_t peak_memory_bytes(const c10::Device& device) {
  if (!device.is_cpu()) {
    constexpr auto kAll = static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);
    const auto stats = c10::getDeviceAllocator(device.type())
                           ->getDeviceStats(device.has_index() ? device.index() : 0);
    return stats.allocated_bytes[kAll].peak;
  }
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return int64_t{usage.ru_maxrss} * 1024;
}

}  // namespace phalanx
