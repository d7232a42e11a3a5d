#include "parallel/nccl_communicator.h"

#include <c10/core/DeviceGuard.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/parallel/communicator_suite.h"
#include "tests/support/ranks.h"

namespace phalanx {
namespace {

constexpr int kMostGpus = 4;

// One thread a GPU, all in this process; the host threads carry the NCCL id.
void run_on_gpus(const std::function<void(Communicator&)>& body) {
  const int num_gpus = std::min(num_cuda_devices(), kMostGpus);
  if (num_gpus == 0) GTEST_SKIP() << "no GPU on this machine";
  run_ranks(num_gpus, [&](Communicator& control) {
    const c10::DeviceGuard guard(
        at::Device(at::kCUDA, static_cast<c10::DeviceIndex>(control.rank())));
    const std::unique_ptr<Communicator> world =
        make_nccl_communicator(control, control.rank(), "world");
    body(*world);
    world->barrier();
    control.barrier();
  });
}

INSTANTIATE_TEST_SUITE_P(Nccl, CommunicatorSuite,
                         testing::Values(Ranks{"gpus", run_on_gpus, at::kCUDA}), name_of_ranks);

TEST(NcclRanks, a_gpu_that_does_not_exist_is_bad_input_on_every_rank) {
  run_ranks(2, [](Communicator& control) {
    EXPECT_THROW((void)make_nccl_communicator(control, 1000, "world"), std::runtime_error);
  });
}

}  // namespace
}  // namespace phalanx
